// Puts the environment's variables into one scalar of the config.
//
//   ${V}  ${env:V}  ${V:-default}  ${V-default}  ${V:?message}  ${V?message}  $$
//
// With the colon an empty variable counts as unset, as in a shell. What is put in is not looked at again, and a default
// holds no variable: a value can never smuggle in another one.

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SubstitutionProblem {
  /** The characters of the text that are meant, to find their place. */
  readonly fragment: string;
  readonly message: string;
}

export interface Substituted {
  readonly text: string;
  /** Variables that had a part in it, each once, also where their default was taken. */
  readonly variables: readonly string[];
  /** The text was one substitution and nothing else. */
  readonly isWhole: boolean;
  readonly problems: readonly SubstitutionProblem[];
}

const reference = /^\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?])([^}]*))?\}/;
const bareName = /^\$([A-Za-z_][A-Za-z0-9_]*)/;

export function substitute(text: string, environment: Environment): Substituted {
  const problems: SubstitutionProblem[] = [];
  const variables = new Set<string>();
  let result = '';
  let isWhole = false;
  for (let from = 0; from < text.length; ) {
    const at = text.indexOf('$', from);
    if (at < 0) {
      result += text.slice(from);
      break;
    }
    result += text.slice(from, at);
    const rest = text.slice(at);
    const match = reference.exec(rest);
    if (match !== null) {
      const value = resolve(match, environment);
      if (typeof value === 'string') result += value;
      else problems.push(value);
      variables.add(match[1] as string);
      isWhole = at === 0 && match[0].length === text.length;
      from = at + match[0].length;
    } else if (rest.startsWith('${')) {
      problems.push(malformed(rest));
      from = at + 2;
    } else {
      result += '$';
      from = at + (rest.startsWith('$$') ? 2 : 1);
    }
  }
  return { text: result, variables: [...variables], isWhole, problems };
}

/** The variable that `$NAME` without braces names, if the environment has it: it is not substituted. */
export function unbracedVariable(text: string, environment: Environment): string | undefined {
  for (const part of text.replaceAll('$$', '').split(/(?=\$)/)) {
    const name = bareName.exec(part)?.[1];
    if (name !== undefined && valueIn(environment, name) !== undefined) return name;
  }
  return undefined;
}

function resolve(match: RegExpExecArray, environment: Environment): string | SubstitutionProblem {
  const [whole, name = '', operator = '', operand = ''] = match;
  const problem = (message: string): SubstitutionProblem => ({ fragment: whole, message });
  if (operand.includes('${')) return problem('a default cannot hold another variable');
  const value = valueIn(environment, name);
  const isMissing = value === undefined || (value === '' && operator.startsWith(':'));
  if (!isMissing) return value;
  if (operator.endsWith('-')) return operand;
  const state = value === undefined ? 'not set' : 'empty';
  if (operand !== '') return problem(`the variable ${name} is ${state}: ${operand}`);
  return problem(`the variable ${name} is ${state}; set it, or give a default: \${${name}:-default}`);
}

/** Only what the environment itself holds: `${constructor}` is no variable. */
function valueIn(environment: Environment, name: string): string | undefined {
  return Object.hasOwn(environment, name) ? environment[name] : undefined;
}

function malformed(rest: string): SubstitutionProblem {
  // What follows may be a secret that begins with "${": none of it is shown.
  return {
    fragment: rest.slice(0, 2),
    message: 'expected ${NAME}, ${NAME:-default} or ${NAME:?message}; write $$ for a dollar sign',
  };
}
