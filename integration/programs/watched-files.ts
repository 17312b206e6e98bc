// A file system that says which call is about to begin, so that a test can strike at a certain one.
import type { FileHandle, FileSystem } from '../../src/index.ts';
import { nodePlatform } from '../../src/platform/node-platform.ts';

/** The real file system; `before` is told each call on it and on its files, `after` each one that is over. */
export function watchedFileSystem(
  before: (call: string, path: string) => void,
  after: (call: string, path: string) => void,
): FileSystem {
  const watched = <Target extends object>(target: Target): Target =>
    new Proxy(target, {
      get(of, name) {
        // Private fields belong to the object itself: it must see itself as `this`, never the proxy.
        const value: unknown = Reflect.get(of, name, of);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          // A file knows its path; the file system is told it.
          const path = String(Reflect.get(of, 'path', of) ?? args[0]);
          before(String(name), path);
          const result: unknown = Reflect.apply(value, of, args);
          if (!(result instanceof Promise)) return result;
          return result.then((answer: unknown) => {
            after(String(name), path);
            return name === 'open' ? watched(answer as FileHandle) : answer;
          });
        };
      },
    });
  return watched(nodePlatform().fileSystem);
}
