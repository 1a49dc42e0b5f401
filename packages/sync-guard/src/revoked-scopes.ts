import type { GuardStore } from './guard-store.ts'
import { purgeDocuments } from './purge-documents.ts'
import { type AnyCollection, type DocState, type ReplicationMeta, scanDocuments } from './replication-meta.ts'
import type { ReplicationScopes } from './replication-options.ts'
import type { TellEvent } from './sync-events.ts'
import type { Direction } from './sync-failure.ts'

/** `leaving`: its documents are being dealt with. */
type Revocation = 'leaving' | 'left'

export interface RevokedScopesOptions {
  readonly collection: AnyCollection
  readonly replicationIdentifier: string
  readonly scopes: ReplicationScopes<DocState, unknown> | undefined
  readonly pushes: boolean
  readonly writable: ((document: DocState) => boolean) | undefined
  readonly keepsDocuments: boolean
  readonly store: GuardStore
  readonly meta: ReplicationMeta
  readonly tell: TellEvent
  readonly changed: () => void
}

/**
 * The scopes of one collection that the server has closed to the user. The collection goes on with the others: documents of a closed scope are
 * removed or stay to be read, as the policy says, and writes to it are kept as rejected ones.
 */
export class RevokedScopes {
  readonly #options: RevokedScopesOptions
  readonly #name: string
  /** Known in this run, and not asked for again until the next chance. */
  readonly #closed = new Set<string>()
  /** Kept over restarts. */
  readonly #revoked: Map<string, Revocation>
  readonly #told = new Set<string>()
  #turn: Promise<void> = Promise.resolve()

  static async load(options: RevokedScopesOptions): Promise<RevokedScopes> {
    const name = nameOf(options.replicationIdentifier)
    const revoked = await options.store.read<readonly (readonly [string, Revocation])[]>(name)
    return new RevokedScopes(options, name, new Map(revoked))
  }

  private constructor(options: RevokedScopesOptions, name: string, revoked: Map<string, Revocation>) {
    this.#options = options
    this.#name = name
    this.#revoked = revoked
  }

  get names(): readonly string[] {
    return [...this.#revoked.keys()]
  }

  /** The scopes to name in a request, and those of them that are not known as closed. Where none is open, all are asked for again. */
  toAsk(direction: Direction): { readonly ask: readonly string[]; readonly open: readonly string[] } {
    const { scopes } = this.#options
    const all = (direction === 'pull' ? scopes?.read : scopes?.write) ?? []
    const open = all.filter((scope) => !this.#closed.has(scope))
    return { ask: open.length > 0 ? open : all, open }
  }

  /** A new run: another tab may have led until now. */
  begin(): Promise<void> {
    this.askAgain()
    return this.#inTurn(async () => {
      const revoked = await this.#options.store.read<readonly (readonly [string, Revocation])[]>(this.#name)
      this.#revoked.clear()
      for (const [scope, revocation] of revoked ?? []) this.#revoked.set(scope, revocation)
      this.#options.changed()
    })
  }

  /** A new connection: what was closed may be open again. */
  askAgain(): void {
    this.#closed.clear()
  }

  /** Why a write of this document is not sent, if it is not. */
  refusalOf(document: DocState): 'read_only_scope' | 'scope_revoked' | undefined {
    const { writable, scopes } = this.#options
    if (writable?.(document) === false) return 'read_only_scope'
    const isClosed = scopes?.of ? this.#closed.has(scopes.of(document)) : this.#allClosed('push')
    return isClosed ? 'scope_revoked' : undefined
  }

  /** A scope that was closed once is pulled from its beginning when it is open again. */
  restart(checkpoint: unknown): unknown {
    const { scopes } = this.#options
    return checkpoint === undefined || !scopes || this.names.length === 0 ? checkpoint : scopes.without(checkpoint, this.names)
  }

  /** Whether documents do not tell their scope, so that everything must be pulled again to find those that have left. */
  get needsResync(): boolean {
    return !this.#tellsApart && !this.#options.keepsDocuments && [...this.#revoked.values()].includes('leaving')
  }

  /** The server has closed these. */
  revoke(scopes: readonly string[]): Promise<void> {
    for (const scope of scopes) this.#closed.add(scope)
    return this.#inTurn(async () => {
      await this.#mark(
        scopes.filter((scope) => !this.#revoked.has(scope)),
        'leaving',
      )
      const { collection, keepsDocuments, tell } = this.#options
      for (const scope of scopes.filter((leaving) => this.#revoked.get(leaving) === 'leaving')) {
        const rejected = this.#tellsApart ? await this.#settle(scope) : 0
        if (this.#tellsApart || keepsDocuments) await this.#mark([scope], 'left')
        if (!this.#told.has(scope)) tell({ type: 'scope-revoked', collection: collection.name, scope, rejected })
        this.#told.add(scope)
      }
    })
  }

  /** Everything that is open was pulled anew, and what did not come is gone. */
  resynced(): Promise<void> {
    return this.#inTurn(() => this.#mark(this.names, 'left'))
  }

  /** These were asked for and answered: open again. Forgotten for good once RxDB has written the checkpoint that says so. */
  pulled(scopes: readonly string[], written: Promise<unknown>): void {
    const open = scopes.filter((scope) => this.#revoked.has(scope))
    if (open.length === 0) return
    for (const scope of open) {
      this.#closed.delete(scope)
      this.#revoked.delete(scope)
      this.#told.delete(scope)
    }
    this.#options.changed()
    void written.then(() => this.#inTurn(() => this.#save())).catch(() => {}) // at worst it is pulled from its beginning once more
  }

  /** Answers how many writes to it the server does not have. The push sets them aside when it comes to them. */
  async #settle(scope: string): Promise<number> {
    const { collection, scopes, pushes, meta, keepsDocuments } = this.#options
    const inScope = (state: DocState) => !scopes?.of || scopes.of(state) === scope
    const ids = (await scanDocuments(collection)).filter(([, state]) => inScope(state)).map(([id]) => id)
    if (!keepsDocuments) await purgeDocuments(collection, pushes ? meta : undefined, ids)
    return pushes ? (await meta.unacknowledged(ids)).size : 0
  }

  get #tellsApart(): boolean {
    return (
      this.#options.scopes?.of !== undefined ||
      (this.#allClosed('pull') && this.#options.scopes?.write.every((scope) => this.#closed.has(scope)) === true)
    )
  }

  #allClosed(direction: Direction): boolean {
    const { scopes } = this.#options
    const all = (direction === 'pull' ? scopes?.read : scopes?.write) ?? []
    return all.length > 0 && all.every((scope) => this.#closed.has(scope))
  }

  async #mark(scopes: readonly string[], revocation: Revocation): Promise<void> {
    if (scopes.length === 0) return
    for (const scope of scopes) this.#revoked.set(scope, revocation)
    this.#options.changed()
    await this.#save()
  }

  #save(): Promise<void> {
    return this.#options.store.write(this.#name, [...this.#revoked])
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

function nameOf(replicationIdentifier: string): string {
  return `revoked-scopes|${replicationIdentifier}`
}
