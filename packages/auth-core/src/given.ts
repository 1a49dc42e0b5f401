/** `{ [name]: value }`, or nothing at all where there is no value: an optional member that is absent, not `undefined`. */
export function given<Name extends string, Value>(name: Name, value: Value | undefined): { [name in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [name in Name]?: Value })
}
