// The version of this package, where a program can say it without reading package.json. A test holds the two equal.

export const version = '0.1.0';
