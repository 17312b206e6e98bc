// Certificates for tests, good until 2126: an authority whose key is gone, and what it has signed. To make new ones:
// `openssl req -x509` for the authority, `openssl x509 -req` with `subjectAltName=DNS:localhost,IP:127.0.0.1` for the
// receiver, and any name for the sender.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

function path(name: string): string {
  return fileURLToPath(new URL(`certificates/${name}`, import.meta.url));
}

export const authorityFile: string = path('authority.pem');
export const receiverFiles: { readonly cert: string; readonly key: string } = {
  cert: path('receiver.pem'),
  key: path('receiver.key.pem'),
};
export const senderFiles: { readonly cert: string; readonly key: string } = {
  cert: path('sender.pem'),
  key: path('sender.key.pem'),
};

/** For `tls.createServer`. */
export const receiverTls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer } = {
  ca: readFileSync(authorityFile),
  cert: readFileSync(receiverFiles.cert),
  key: readFileSync(receiverFiles.key),
};
