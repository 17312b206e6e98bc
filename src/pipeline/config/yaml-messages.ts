// What is wrong with YAML that cannot be parsed, in our words: the parser's own quote the text, which may be a secret.

const messages: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias stands alone; remove the anchor or tag before it',
  BAD_ALIAS: 'an anchor or alias has no name, or one with a character that a name cannot have',
  BAD_DIRECTIVE: 'directives such as %YAML are not understood',
  BAD_DQ_ESCAPE: 'a backslash in double quotes is followed by what is no escape; use single quotes, or write \\\\',
  BAD_INDENT: 'this line is not indented like its neighbours; keys of one map begin in the same column',
  BAD_PROP_ORDER: 'an anchor or tag stands where none can be',
  BAD_SCALAR_START: 'text cannot begin with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a map or list cannot begin in the middle of this line; text with ": " in it needs quotes',
  BLOCK_IN_FLOW: 'inside [ ] and { } there are no maps or lists by indentation',
  IMPOSSIBLE: 'this is no YAML',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters; is a quote or a bracket missing?',
  MISSING_CHAR: 'a character is missing here: a closing quote or bracket, a comma, or a space after ":"',
  MULTILINE_IMPLICIT_KEY: 'a key reaches over several lines; is a ":" missing, or a quote?',
  MULTIPLE_ANCHORS: 'one value has two anchors',
  MULTIPLE_DOCS: 'a second document begins here; a config is one',
  MULTIPLE_TAGS: 'one value has two tags',
  RESOURCE_EXHAUSTION: 'nested far too deeply',
  TAB_AS_INDENT: 'a tab stands where YAML wants spaces',
  UNEXPECTED_TOKEN: 'nothing can stand here; is a quote, a bracket or the indentation wrong further up?',
};

/** @param code The parser's name for what it met at this offset of the text. */
export function syntaxMessage(code: string, text: string, offset: number): string {
  // A plain ${V} between brackets is a dollar sign and a map: the most likely reason that an error is right here.
  const before = text.slice(Math.max(0, offset - 2), offset + 2);
  const hint = before.includes('${') ? '; inside [ ] and { } a variable needs quotes: "${NAME}"' : '';
  return `the YAML cannot be read: ${messages[code] ?? 'this is no YAML'}${hint}`;
}
