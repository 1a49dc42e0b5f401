import { getComposedPrimaryKeyOfDocumentData } from 'rxdb/plugins/core'
import type { RxReplicationState } from 'rxdb/plugins/replication'
import { concatMap, type Observable } from 'rxjs'
import type { Doc, DocState } from './replication-meta.ts'
import type { StreamItem } from './replication-options.ts'

type Modifier = (document: unknown) => unknown

/** Between documents as they are stored here and as they are on their way: the app's modifiers, and the name of the flag of deleted ones. */
export class Conversion {
  readonly #state: RxReplicationState<Doc, unknown>
  readonly #deletedField: string
  readonly #fromServer: Modifier | undefined
  readonly #toServer: Modifier | undefined

  /**
   * Takes the conversion over from a replication that is not started yet. RxDB would do it outside of the handlers, where the guard could
   * neither tell which document a row is nor compare it with what is stored. The state gets options of its own: those it was made with may serve
   * the next run too.
   */
  static takeOver(state: RxReplicationState<Doc, unknown>): Conversion {
    const { deletedField, pull, push } = state
    const conversion = new Conversion(state, deletedField, pull?.modifier as Modifier | undefined, push?.modifier as Modifier | undefined)
    const { modifier: _, ...ownPull } = pull ?? {}
    const { modifier: __, ...ownPush } = push ?? {}
    const stream = pull?.stream$ && { stream$: conversion.#readStream(pull.stream$) }
    Object.assign(state, { deletedField: '_deleted', ...(pull && { pull: { ...ownPull, ...stream } }), ...(push && { push: ownPush }) })
    return conversion
  }

  private constructor(state: RxReplicationState<Doc, unknown>, deletedField: string, fromServer?: Modifier, toServer?: Modifier) {
    this.#state = state
    this.#deletedField = deletedField
    this.#fromServer = fromServer
    this.#toServer = toServer
  }

  /** What a pull or the stream has brought. */
  async read(documents: readonly Doc[]): Promise<DocState[]> {
    const states = this.readConflicts(documents)
    return this.#fromServer ? ((await Promise.all(states.map(this.#fromServer))) as DocState[]) : states
  }

  /** As RxDB has it, master states in the answer to a push are not modified; only the flag is renamed. */
  readConflicts(documents: readonly Doc[]): DocState[] {
    const { primaryPath, jsonSchema } = this.#state.collection.schema
    return documents.map((document) => {
      if (this.#deletedField === '_deleted' && typeof document._deleted === 'boolean' && document[primaryPath] !== undefined) {
        return document as DocState
      }
      const { [this.#deletedField]: deleted, ...state } = document
      const complete: DocState = { ...state, _deleted: !!deleted }
      complete[primaryPath] = getComposedPrimaryKeyOfDocumentData(jsonSchema, complete)
      return complete
    })
  }

  /** A state as the server is to get it. `null`: the app does not want it to be sent. */
  async write(state: DocState): Promise<DocState | null> {
    const modified = this.#toServer ? ((await this.#toServer({ ...state })) as DocState | null) : state
    if (modified === null || this.#deletedField === '_deleted') return modified
    const { _deleted, ...document } = modified
    return { ...document, [this.#deletedField]: !!_deleted } as unknown as DocState
  }

  #readStream(stream$: Observable<StreamItem<Doc, unknown>>): Observable<StreamItem<Doc, unknown>> {
    return stream$.pipe(concatMap(async (item) => (item === 'RESYNC' ? item : { ...item, documents: await this.read(item.documents) })))
  }
}
