// Collects everything that is wrong with a config, so that one run of `validate` shows all of it.

import { ConfigError, type ConfigIssue } from '../../base/errors.ts';
import { type ConfigPath, type Place, pathText } from './config-node.ts';

export interface IssueReport {
  readonly path: ConfigPath;
  readonly place: Place | undefined;
  /** A sentence without a full stop. Never a value from a variable or a secret. */
  readonly message: string;
}

/** Beyond this the message of the error only counts; `issues` has all. */
const shownMax = 50;

export class ConfigIssues {
  readonly #file: string;
  readonly #errors: ConfigIssue[] = [];
  readonly #warnings: ConfigIssue[] = [];
  #cause: unknown;
  #isOnlyUnreadable = true;

  /** @param file What the issues call the config: its path as the operator gave it. */
  constructor(file: string) {
    this.#file = file;
  }

  get errors(): readonly ConfigIssue[] {
    return inOrder(this.#errors);
  }

  get warnings(): readonly ConfigIssue[] {
    return inOrder(this.#warnings);
  }

  /** @param cause What lies below it, if it is worth keeping; the first one is kept. */
  error(report: IssueReport, cause?: unknown): void {
    this.#errors.push(this.#issue(report));
    this.#isOnlyUnreadable = false;
    this.#cause ??= cause;
  }

  /** A file that the config names cannot be read. */
  unreadable(report: IssueReport): void {
    this.#errors.push(this.#issue(report));
  }

  warn(report: IssueReport): void {
    this.#warnings.push(this.#issue(report));
  }

  /** Throws the ConfigError if there are errors. */
  throwIfAny(): void {
    const issues = this.errors;
    if (issues.length === 0) return;
    const count = issues.length === 1 ? 'an error' : `${issues.length} errors`;
    const lines = issues.slice(0, shownMax).map((issue) => `  ${issueText(issue)}`);
    if (issues.length > shownMax) lines.push(`  and ${issues.length - shownMax} more`);
    throw new ConfigError({
      code: this.#isOnlyUnreadable ? 'SPILLWAY_CONFIG_UNREADABLE' : 'SPILLWAY_CONFIG_INVALID',
      message: `The config ${this.#file} has ${count}; nothing was started:\n${lines.join('\n')}`,
      issues,
      cause: this.#cause,
    });
  }

  #issue({ path, place, message }: IssueReport): ConfigIssue {
    return { file: this.#file, line: place?.line, column: place?.column, path: pathText(path), message };
  }
}

/** `pipeline.yaml:12:5 sinks.archive.bufer: ...`, as editors and terminals make it a link. */
export function issueText({ file, line, column, path, message }: ConfigIssue): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return path === '' ? `${place} ${message}` : `${place} ${path}: ${message}`;
}

/** As they stand in the file; several at one place as they were found. */
function inOrder(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const position = ({ line = 0, column = 0 }: ConfigIssue): number => line * 1e6 + column;
  return issues.toSorted((left, right) => position(left) - position(right));
}
