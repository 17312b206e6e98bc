// Makes a node of a scalar: variables are put in, and what a variable gave is typed as YAML would have typed it.

import { parseDocument, type Scalar } from 'yaml';
import type { ConfigIssues } from './config-issues.ts';
import type { ConfigPath, Place, ScalarNode, ScalarValue } from './config-node.ts';
import { type Environment, substitute, unbracedVariable } from './substitution.ts';

export interface ScalarSource {
  readonly scalar: Scalar;
  readonly path: ConfigPath;
  readonly place: Place;
  /** Where these characters of its source stand. */
  readonly placeOf: (fragment: string) => Place;
}

export class ScalarReader {
  readonly #env: Environment;
  readonly #issues: ConfigIssues;

  constructor({ env, issues }: { readonly env: Environment; readonly issues: ConfigIssues }) {
    this.#env = env;
    this.#issues = issues;
  }

  read({ scalar, path, place, placeOf }: ScalarSource): ScalarNode {
    const { value } = scalar;
    const written = {
      kind: 'scalar',
      place,
      origin: { kind: 'written' },
      untyped: undefined,
      isBroken: false,
    } as const;
    if (typeof value !== 'string') return { ...written, value: value as ScalarValue };
    if (!value.includes('$')) return { ...written, value, isBroken: this.#refuseSecretBackend(value, path, place) };
    const { text, variables, isWhole, problems } = substitute(value, this.#env);
    for (const { fragment, message } of problems) {
      this.#issues.error({ path, place: placeOf(fragment), message });
    }
    const unbraced = unbracedVariable(value, this.#env);
    if (unbraced !== undefined) {
      const message = `$${unbraced} is left as it is: write \${${unbraced}} for the variable, $$ for a dollar sign`;
      this.#issues.warn({ path, place: placeOf(`$${unbraced}`), message });
    }
    if (variables.length === 0) return { ...written, value: text, isBroken: problems.length > 0 };
    const isTyped = isWhole && scalar.type === 'PLAIN' && problems.length === 0;
    return {
      ...written,
      value: isTyped ? typed(text) : text,
      untyped: isTyped ? text : undefined,
      origin: { kind: 'variable', names: variables },
      isBroken: problems.length > 0,
    };
  }

  /** Vector's way to secrets. Left alone, the words themselves would become the password. */
  #refuseSecretBackend(value: string, path: ConfigPath, place: Place): boolean {
    if (!/^SECRET\[[^\]]*\]$/.test(value)) return false;
    const message = 'there are no secret backends; use a variable, ${NAME}, or a file: the key with _file behind it';
    this.#issues.error({ path, place, message });
    return true;
  }
}

const plainScalar = /^[-+.\w~]+$/;

/** As a plain scalar in YAML. An empty variable is empty text: it was given, so it is not "nothing". */
function typed(text: string): ScalarValue {
  if (!plainScalar.test(text)) return text; // Neither a number nor a word for true, false or nothing.
  const contents = parseDocument(text, { version: '1.2', schema: 'core', logLevel: 'silent' }).toJS() as unknown;
  const isScalar = typeof contents === 'number' || typeof contents === 'boolean' || contents === null;
  return isScalar ? contents : text;
}
