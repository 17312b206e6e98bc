// Writes config.schema.json and docs/configuration.md from the schemas that check a config: npm run docs
// A test fails while they are not what this would write.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configJsonSchema } from '../src/pipeline/config/json-schema.ts';
import { configurationPage } from './configuration-page.ts';

const root = dirname(import.meta.dirname);

/** What each file holds, by its path in the repository. */
export function configDocuments(): Readonly<Record<string, string>> {
  return {
    'config.schema.json': `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
    'docs/configuration.md': configurationPage(),
  };
}

if (process.argv[1] === import.meta.filename) {
  for (const [path, text] of Object.entries(configDocuments())) writeFileSync(join(root, path), text);
}
