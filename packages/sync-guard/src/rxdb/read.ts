/** Follows a path into something of unknown shape. */
export function read(value: unknown, ...path: string[]): unknown {
  return path.reduce(
    (inner, name) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined),
    value,
  )
}
