// Certificates for tests, good until 2126: an authority whose key is gone, and a server that it vouches for. To make
// others: `openssl req -x509` for the one, `openssl x509 -req` with `subjectAltName=DNS:localhost,IP:127.0.0.1` for the
// other.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

function path(name: string): string {
  return fileURLToPath(new URL(`certificates/${name}`, import.meta.url));
}

export const authorityFile: string = path('authority.pem');

/** For a server, as PEM. */
export const serverTls: { readonly cert: string; readonly key: string } = {
  cert: readFileSync(path('server.pem'), 'utf8'),
  key: readFileSync(path('server.key.pem'), 'utf8'),
};
