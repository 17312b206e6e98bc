// Reachability marks: rare branches say that they ran, so that a green simulation can prove it went where the danger
// is.
//
// A mark costs one comparison while nobody listens. Marks stand on cold paths only and carry no data; the name is
// `chapter.what_happened`. The idea is TigerBeetle's (src/testing/marks.zig).

let listener: ((mark: string) => void) | undefined;

/** Says that the branch called `name` was taken. */
export function mark(name: string): void {
  listener?.(name);
}

/** Listens to every mark of this process, for tests. Returns a function that ends it. One listener at a time. */
export function listenToMarks(next: (mark: string) => void): () => void {
  listener = next;
  return () => {
    if (listener === next) listener = undefined;
  };
}
