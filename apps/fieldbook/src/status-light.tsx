import type { Status } from './status-text.ts'

export function StatusLight({ tone }: { readonly tone: Status['tone'] }) {
  return <span className="status-light" data-tone={tone} aria-hidden="true" />
}
