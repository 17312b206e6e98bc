// An operator of NATS, as its tool makes one: keys for the operator, its accounts and their users, and the signed
// statements (JWT) by which a server knows them. A user shows the statement of its account, and signs what it is asked.
import { randomUUID } from 'node:crypto';
import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const everything = {
  ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 },
  ...{ mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
};
const system = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };

export class NatsOperator {
  readonly #operator = nkeys.createOperator();
  readonly #system = nkeys.createAccount();
  readonly #account = nkeys.createAccount();

  /** For a server's config: it knows the account and nobody else. */
  get config(): string {
    const own = { type: 'operator', system_account: this.#system.getPublicKey() };
    const accounts = [
      [this.#system, system],
      [this.#account, everything],
    ] as const;
    const known = accounts.map(([key, limits]) => {
      const about = { type: 'account', limits, default_permissions: {} };
      return `${key.getPublicKey()}: ${statement(this.#operator, key, about)}`;
    });
    return [
      `operator: ${statement(this.#operator, this.#operator, own)}`,
      `system_account: ${this.#system.getPublicKey()}`,
      'resolver: MEMORY',
      `resolver_preload: { ${known.join(', ')} }`,
    ].join('\n');
  }

  /** The text of a `.creds` file for a new user of the account. */
  credentials(): string {
    const user = nkeys.createUser();
    const about = { type: 'user', pub: {}, sub: {}, subs: -1, data: -1, payload: -1 };
    return [
      '-----BEGIN NATS USER JWT-----',
      statement(this.#account, user, about),
      '------END NATS USER JWT------',
      '',
      '-----BEGIN USER NKEY SEED-----',
      seedOf(user),
      '------END USER NKEY SEED------',
      '',
    ].join('\n');
  }
}

export function seedOf(key: KeyPair): string {
  return Buffer.from(key.getSeed()).toString();
}

/** What somebody says of somebody, signed. */
function statement(issuer: KeyPair, subject: KeyPair, about: Readonly<Record<string, unknown>>): string {
  const claims = {
    jti: randomUUID(),
    iat: Math.floor(Date.now() / 1_000),
    iss: issuer.getPublicKey(),
    name: 'test',
    sub: subject.getPublicKey(),
    nats: { ...about, version: 2 },
  };
  const parts = [{ typ: 'JWT', alg: 'ed25519-nkey' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signature = issuer.sign(Buffer.from(parts.join('.')));
  return [...parts, Buffer.from(signature).toString('base64url')].join('.');
}
