import type { RowProblem } from './document.ts'
import type { ReadRow, RejectedRow } from './push-plan.ts'
import type { Scope } from './scope.ts'

/** The rows of a push by the scope each belongs to. */
export interface RoutedRows {
  readonly byScope: ReadonlyMap<Scope, readonly ReadRow[]>
  readonly rejected: readonly RejectedRow[]
}

/** Without a scope field everything goes to the one scope that was named. A document never moves: its readers would keep an old copy. */
export function routeRows(rows: readonly ReadRow[], scopes: readonly Scope[], scopeField: string | undefined): RoutedRows {
  const byScope = new Map<Scope, ReadRow[]>()
  const rejected: RejectedRow[] = []
  for (const row of rows) {
    const target = scopeField === undefined ? scopes[0] : scopes.find(({ alias }) => alias === row.next.data[scopeField])
    const problem = target ? routeProblem(row, target, scopeField) : elsewhere
    if (problem || !target) rejected.push({ id: row.next.id, ...(problem ?? elsewhere) })
    else byScope.set(target, [...(byScope.get(target) ?? []), row])
  }
  return { byScope, rejected }
}

function routeProblem({ assumed }: ReadRow, target: Scope, scopeField: string | undefined): RowProblem | undefined {
  if (!target.writable) return { code: 'read_only', error: 'This scope is read-only for this user.' }
  const moved = scopeField !== undefined && assumed && assumed[scopeField] !== target.alias
  return moved ? { code: 'scope_change', error: 'A document cannot move to another scope. Delete it and insert a new one.' } : undefined
}

const elsewhere: RowProblem = { code: 'scope_mismatch', error: 'The document names a scope that this push does not.' }
