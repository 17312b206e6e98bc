// The command line: what may be said, what it is explained with, and which command answers.

import { Command, CommanderError, Option } from 'commander';
import { removeCursor } from './cursor-command.ts';
import { errorJson, errorText } from './errors-text.ts';
import { type ExitCode, exitCodeOf, exitCodes } from './exit-codes.ts';
import { inspect } from './inspect-command.ts';
import type { Invocation } from './invocation.ts';
import { type LogLevel, logLevels } from './pino-log.ts';
import { type LogFormat, run } from './run-command.ts';
import { printSchema, validate } from './validate-command.ts';
import { verify } from './verify-command.ts';
import { version } from './version.ts';

const description = `A durable disk buffer for telemetry pipelines.

What a source hands over is on disk before it is acknowledged; what the sink has
acknowledged leaves the disk. Sink away, process killed, power cut, disk full:
what was accepted is delivered, in order, and what is lost is counted.`;

const afterHelp = `
Start here:
  $ spillway validate pipeline.yaml     is the config right? All errors at once, with line and column
  $ spillway run pipeline.yaml          run it; Ctrl-C ends it gracefully, twice at once, without loss
  $ spillway inspect ./data             what is on disk, how old it is, and which sink holds it up

Exit codes:
  0  done                               3  the disk or the system said no, or another process has it
  1  a bug: please report it            4  verify found damage
  2  config or command line is wrong    130, 143  ended at once by a second SIGINT, SIGTERM
`;

/** Runs one command. Never rejects: the exit code says how it went, and the terminal why. */
export async function runProgram(args: readonly string[], invocation: Invocation): Promise<number> {
  const { terminal } = invocation;
  let exitCode: number = exitCodes.done;
  const program = createProgram(invocation, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (cause) {
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? exitCodes.done : exitCodes.config;
    const isJson = args.includes('--json');
    terminal.err.write(isJson ? errorJson(cause) : errorText(cause, terminal.err));
    return exitCodeOf(cause);
  }
}

function createProgram(invocation: Invocation, ended: (code: ExitCode | number) => void): Command {
  const { terminal } = invocation;
  const program = new Command('spillway')
    .description(description)
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .addHelpText('after', afterHelp)
    .showHelpAfterError('(spillway --help explains the commands)')
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride();
  addPipelineCommands(program, invocation, ended);
  addBufferCommands(program, invocation, ended);
  return program;
}

function addPipelineCommands(program: Command, invocation: Invocation, ended: (code: number) => void): void {
  const formats: readonly LogFormat[] = ['auto', 'json', 'text'];
  program
    .command('run')
    .argument('<config>', 'the YAML file that names sources, buffers and sinks')
    .description('run a pipeline until it is stopped, or until all its input has ended and is delivered')
    .addOption(new Option('--log-level <level>', 'least important lines to log').choices(logLevels).default('info'))
    .addOption(new Option('--log-format <format>', 'auto: text on a terminal').choices(formats).default('auto'))
    .option('--drain', 'start no source: deliver what the buffers hold, and end')
    .action(async (config: string, options: { logLevel: LogLevel; logFormat: LogFormat; drain?: true }) => {
      ended(await run(config, { ...options, drainsOnly: options.drain === true }, invocation));
    });
  program
    .command('validate')
    .argument('<config>', 'the YAML file')
    .description('check a config: every error at once, with line and column; nothing is started')
    .option('--no-plugins', 'import no plugin: a config is code otherwise. Options of their types are not checked')
    .option('--json', 'answer with JSON')
    .action(async (config: string, options: { plugins: boolean; json?: true }) => {
      ended(await validate(config, { loadsPlugins: options.plugins, isJson: options.json === true }, invocation));
    });
  program
    .command('schema')
    .description('print the JSON Schema of the config, for editors')
    .action(() => printSchema(invocation));
}

function addBufferCommands(program: Command, invocation: Invocation, ended: (code: number) => void): void {
  program
    .command('inspect')
    .argument('<directory>', "a buffer's directory, or the data_dir of a pipeline")
    .description('show segments, cursors, backlog, age of the oldest and damage; also while a pipeline runs')
    .option('--json', 'answer with JSON')
    .action((directory: string, options: { json?: true }) =>
      inspect(directory, { isJson: options.json === true }, invocation),
    );
  program
    .command('verify')
    .argument('<directory>', "a buffer's directory")
    .description('read every byte of a buffer and say whether it is whole; changes nothing')
    .option('--portable', 'check a second time, with a checksum in plain JavaScript (slower)')
    .option('--json', 'answer with JSON')
    .action(async (directory: string, options: { portable?: true; json?: true }) => {
      const { portable, json } = options;
      ended(await verify(directory, { isPortable: portable === true, isJson: json === true }, invocation));
    });
  program
    .command('cursor')
    .description('manage the cursors of a buffer that is not in use')
    .command('remove')
    .argument('<directory>', "the buffer's directory")
    .argument('<name>', 'the cursor, named like the sink that it was for')
    .description('end a cursor that no sink reads with any more, and free the disk that only it held')
    .option('--yes', 'do it; without, only say what would be given up')
    .action((directory: string, name: string, options: { yes?: true }) =>
      removeCursor(directory, name, { isSure: options.yes === true }, invocation),
    );
}
