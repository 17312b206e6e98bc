// Subjects: parts with dots between them, in which an event's fields may stand.
//
// A value from an event is a stranger's: a dot in it would make another part, a wildcard would make the subject one
// that cannot be published, a space would end it in the protocol, and a long one would be a longer line than a server
// takes (4096 bytes), which costs the connection.

/** Characters of a value that go into a subject, at most. */
const valueLengthMax = 64;

/** A value as one part of a subject. */
export function subjectPart(value: string): string {
  const clean = value.replace(/[\p{Cc}\p{Cs}\p{Z}.*>]/gu, '_');
  return [...clean.slice(0, valueLengthMax * 2)].slice(0, valueLengthMax).join('') || '_';
}

/** A template with the same text in place of every placeholder. */
export function subjectWith(source: string, text: string): string {
  return source.replace(/\{[^{}]*\}/g, text);
}

/** A template as a subject with wildcards. A wildcard is a part of its own: `*`, and never `app-*`. */
export function subjectPattern(source: string): string {
  const parts = subjectWith(source, '*').split('.');
  return parts.map((part) => (part.includes('*') ? '*' : part)).join('.');
}

/** Whether messages can be published there. What begins with `$` is the server's own. */
export function isPublishSubject(subject: string): boolean {
  return (
    subject.length <= 1024 &&
    !/[\p{Cc}\p{Z}]/u.test(subject) &&
    !subject.startsWith('$') &&
    subject.split('.').every((part) => part !== '' && !/[*>]/.test(part))
  );
}

export function isStreamName(name: string): boolean {
  return name.length <= 255 && /^[^\p{Cc}\p{Z}.*>/\\]+$/u.test(name);
}

/** Whether a stream with this subject, which may hold wildcards, takes messages published there. */
export function takesSubject(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const parts = subject.split('.');
  for (const [at, want] of wanted.entries()) {
    if (want === '>') return parts.length > at;
    if (parts[at] === undefined || (want !== '*' && want !== parts[at])) return false;
  }
  return parts.length === wanted.length;
}
