import { type RxReplicationState, replicateRxCollection } from 'rxdb/plugins/replication'
import type { Observable } from 'rxjs'
import { type AttachFactory, type AttachOptions, type AttachParts, attachedState } from './attach.ts'
import type { AnyCollection, Doc, DocState } from './replication-meta.ts'
import type {
  GuardedPullHandler,
  GuardedPushHandler,
  GuardedStream,
  ReplicateOptions,
  ReplicationScopes,
  StreamItem,
} from './replication-options.ts'
import type { SortFailure } from './sync-failure.ts'

export type RunningState = RxReplicationState<Doc, unknown>

/** How to make a replication, again for every run, whoever wrote its handlers. */
export interface ReplicationPlan {
  readonly collection: AnyCollection
  readonly replicationIdentifier: string
  readonly pulls: boolean
  readonly pushes: boolean
  readonly initialPushCheckpoint?: unknown
  readonly sortFailure: SortFailure | undefined
  readonly origin: string
  readonly stream?: GuardedStream<Doc, unknown>
  readonly writable?: ((document: DocState) => boolean) | undefined
  readonly scopes?: ReplicationScopes<DocState, unknown> | undefined
  /** A state that is not started; its handlers are replaced before it is. */
  create(parts: AttachParts, stream$: Observable<StreamItem<Doc, unknown>> | undefined): RunningState
  pullHandler(state: RunningState): GuardedPullHandler<Doc, unknown> | undefined
  pushHandler(state: RunningState): GuardedPushHandler<Doc> | undefined
}

/** For handlers of the app's own. */
export function ownPlan(options: ReplicateOptions<Doc, unknown>): ReplicationPlan {
  const { collection, replicationIdentifier, deletedField = '_deleted', pull, push, scopes, sortFailure, origin = '' } = options
  const unused = () => Promise.reject(new Error('Replaced before the start.'))
  return {
    collection,
    replicationIdentifier,
    pulls: pull !== undefined,
    pushes: push !== undefined,
    sortFailure,
    origin,
    ...(push?.initialCheckpoint !== undefined && { initialPushCheckpoint: push.initialCheckpoint }),
    ...(pull?.stream && { stream: pull.stream }),
    writable: push?.writable,
    scopes,
    create: (_, stream$) =>
      replicateRxCollection<Doc, unknown>({
        collection,
        replicationIdentifier,
        deletedField,
        live: true,
        autoStart: false,
        waitForLeadership: false,
        toggleOnDocumentVisible: false,
        ...(pull && { pull: { ...settings(pull), handler: unused, ...(stream$ && { stream$ }) } }),
        ...(push && { push: { ...settings(push), handler: unused } }),
      }),
    pullHandler: () => pull?.handler,
    pushHandler: () => push?.handler,
  }
}

/** For the replication of a plugin. The factory is called once at the beginning to learn what it replicates; that state serves the first run. */
export function attachedPlan(factory: AttachFactory, options: AttachOptions, idle: AttachParts): ReplicationPlan {
  const probe = attachedState(factory, idle)
  void probe.cancel().catch(() => {}) // some plugins cannot be cancelled before they were started; nothing runs either way
  return {
    collection: probe.collection,
    replicationIdentifier: probe.replicationIdentifier,
    pulls: probe.pull !== undefined,
    pushes: probe.push !== undefined,
    sortFailure: options.sortFailure,
    origin: options.origin ?? '',
    ...(probe.push?.initialCheckpoint !== undefined && { initialPushCheckpoint: probe.push.initialCheckpoint as unknown }),
    create: (parts) => attachedState(factory, parts),
    pullHandler: ({ pull }) => pull?.handler.bind(pull),
    pushHandler: ({ push }) => push?.handler.bind(push),
  }
}

type Settings = 'batchSize' | 'modifier' | 'initialCheckpoint'

function settings<T extends { readonly [K in Settings]?: unknown }>(options: T): { [K in Settings]?: Exclude<T[K], undefined> } {
  const { batchSize, modifier, initialCheckpoint } = options
  const given = Object.entries({ batchSize, modifier, initialCheckpoint }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as { [K in Settings]?: Exclude<T[K], undefined> }
}
