// A certificate for tests that names localhost and 127.0.0.1, signed by itself, for both sides, good until 2126. To
// make one: `openssl req -x509 -newkey ec -nodes -days 36500 -subj /CN=localhost -addext subjectAltName=...`.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

function path(name: string): string {
  return fileURLToPath(new URL(`certificates/${name}`, import.meta.url));
}

export const certificateFile: string = path('both.pem');
export const keyFile: string = path('both.key.pem');

/** For a server, as PEM. */
export const serverTls: { readonly cert: string; readonly key: string } = {
  cert: readFileSync(certificateFile, 'utf8'),
  key: readFileSync(keyFile, 'utf8'),
};
