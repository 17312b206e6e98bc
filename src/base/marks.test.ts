import { describe, expect, it } from 'vitest';
import { listenToMarks, mark } from './marks.ts';

describe('marks', () => {
  it('reach the listener until it ends', () => {
    const heard: string[] = [];
    mark('test.before');
    const stop = listenToMarks((name) => heard.push(name));
    mark('test.during');
    stop();
    mark('test.after');
    expect(heard).toEqual(['test.during']);
  });

  it('have one listener: an old one cannot end a new one', () => {
    const heard: string[] = [];
    const stopFirst = listenToMarks(() => heard.push('first'));
    const stopSecond = listenToMarks(() => heard.push('second'));
    stopFirst();
    mark('test.mark');
    stopSecond();
    expect(heard).toEqual(['second']);
  });
});
