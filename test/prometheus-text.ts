// Reads the text format of Prometheus as its page defines it, by hand and without a line of ours: what this refuses,
// or reads differently, a server would.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const suffixesOfHistogram = ['_bucket', '_sum', '_count'];

/** Families by name. Throws at the first line that breaks a rule. */
export function readPrometheusText(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { help: string; type: string; samples: Sample[] }>();
  let current = '';
  const seen = new Set<string>();
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (comment !== null) {
      const [, word, name = '', rest = ''] = comment;
      if (word === 'HELP') {
        if (families.has(name)) throw new Error(`${name} comes twice: the lines of a family stand together`);
        families.set(name, { help: rest, type: '', samples: [] });
        current = name;
      } else {
        const family = families.get(name);
        if (family === undefined || family.type !== '' || family.samples.length > 0) throw new Error(`TYPE of ${name}`);
        if (!['counter', 'gauge', 'histogram'].includes(rest)) throw new Error(`${name} is of type ${rest}`);
        family.type = rest;
      }
      continue;
    }
    const sample = readSample(line);
    const base = familyOf(sample.name, current, families.get(current)?.type);
    if (base !== current) throw new Error(`${sample.name} stands among the lines of ${current}`);
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (seen.has(key)) throw new Error(`twice: ${line}`);
    seen.add(key);
    families.get(current)?.samples.push(sample);
  }
  return families;
}

function familyOf(name: string, current: string, type: string | undefined): string {
  if (type !== 'histogram') return name;
  return suffixesOfHistogram.some((suffix) => name === `${current}${suffix}`) ? current : name;
}

function readSample(line: string): Sample {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`no metric name: ${line}`);
  let at = name.length;
  const labels: Record<string, string> = {};
  if (line[at] === '{') {
    at += 1;
    while (line[at] !== '}') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="/.exec(line.slice(at));
      if (label === null) throw new Error(`no label at ${at}: ${line}`);
      at += label[0].length;
      let value = '';
      for (; line[at] !== '"'; at++) {
        if (line[at] === undefined) throw new Error(`a label does not end: ${line}`);
        if (line[at] !== '\\') {
          value += line[at];
          continue;
        }
        at += 1;
        const plain = { '\\': '\\', '"': '"', n: '\n' }[line[at] ?? ''];
        if (plain === undefined) throw new Error(`no such escape at ${at}: ${line}`);
        value += plain;
      }
      const key = label[1] as string;
      if (Object.hasOwn(labels, key)) throw new Error(`the label ${key} comes twice: ${line}`);
      labels[key] = value;
      at += 1;
      if (line[at] === ',') at += 1;
      else if (line[at] !== '}') throw new Error(`neither , nor } at ${at}: ${line}`);
    }
    at += 1;
  }
  const number = /^ (\S+)$/.exec(line.slice(at))?.[1];
  if (number === undefined) throw new Error(`no value: ${line}`);
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : number === '-Inf' ? -Infinity : Number(number);
  if (Number.isNaN(value) && number !== 'NaN') throw new Error(`no number: ${line}`);
  return { name, labels, value };
}
