import type { World } from '@nightlatch/auth-core/world'
import { filter, firstValueFrom } from 'rxjs'
import { attachParts } from './attach.ts'
import { Conversion } from './conversion.ts'
import { Freshness } from './freshness.ts'
import { Gate } from './gate.ts'
import type { GuardStore } from './guard-store.ts'
import { guardedPull } from './guarded-pull.ts'
import { guardedPush } from './guarded-push.ts'
import { guardedStream } from './guarded-stream.ts'
import type { Haltable } from './halt.ts'
import { Lane, type Origin } from './lane.ts'
import { Pacer } from './pacer.ts'
import type { SyncPolicy } from './policy.ts'
import type { RejectedWrites } from './rejected-writes.ts'
import type { DocState, ReplicationMeta } from './replication-meta.ts'
import type { ReplicationPlan, RunningState } from './replication-plan.ts'
import { Resync } from './resync.ts'
import type { RevokedScopes } from './revoked-scopes.ts'
import { SentNotes } from './sent-notes.ts'
import type { SyncError } from './sync-error.ts'
import type { TellEvent } from './sync-events.ts'
import type { Direction } from './sync-failure.ts'
import type { SyncSession } from './sync-session.ts'
import type { TokenSource } from './token-source.ts'

/** What all replications of one run have in common. */
export interface RunContext {
  readonly session: SyncSession
  readonly gate: Gate
  readonly tokens: TokenSource
  /** Whether this tab may still send; asks storage only after the tab stood still. */
  readonly stillLeads: () => Promise<boolean>
  /** Whether the tab has stood still since `stillLeads` was asked. */
  readonly stoodStill: () => boolean
}

export interface RunOptions {
  readonly plan: ReplicationPlan
  readonly context: RunContext
  readonly world: World
  readonly policy: Required<SyncPolicy>
  readonly origin: Origin
  readonly store: GuardStore
  readonly meta: ReplicationMeta
  readonly rejected: RejectedWrites
  readonly scopes: RevokedScopes
  readonly tell: TellEvent
  readonly changed: () => void
  /** The server has given everything it had. RxDB has not written it yet. */
  readonly onCaughtUp: (state: RunningState) => void
}

/** RxDB's replication state with guarded handlers, not started yet, and what they work with. Serves one run; nothing of it is used again. */
export interface ReplicationRun extends Haltable {
  readonly gate: Gate
  readonly tokens: TokenSource
  readonly lanes: readonly Lane[]
  readonly push: Lane | undefined
  readonly pacers: readonly Pacer[]
  /** Of the change stream alone: its connections do not count among the requests. */
  readonly streamPacer: Pacer
  readonly notes: SentNotes
}

/** `undefined`: the gate has closed meanwhile. */
export async function prepareRun(options: RunOptions): Promise<ReplicationRun | undefined> {
  const { plan, context, world, policy, origin, store, meta, rejected, scopes, tell, changed } = options
  const { collection, replicationIdentifier } = plan
  const nonce = () => Array.from(world.random.bytes(12), (byte) => byte.toString(16).padStart(2, '0')).join('')
  const notes = await SentNotes.load(store, collection, replicationIdentifier, nonce)
  const unfinished = await Resync.unfinished(store, replicationIdentifier)
  if (!context.gate.open) return undefined

  const idOf = (document: DocState) => String(document[collection.schema.primaryPath])
  const isEqual = (a: DocState, b: DocState) => collection.conflictHandler.isEqual(a, b, 'nightlatch-repeated-push')
  const freshness = new Freshness({ meta, idOf, isEqual, token: collection.database.token, world, pushes: plan.pushes })
  const gate = new Gate(context.gate)
  const pacers: Pacer[] = []
  const pacer = () => {
    const made = new Pacer(world, policy, changed)
    pacers.push(made)
    return made
  }
  const lane = (direction: Direction, its: Origin) =>
    new Lane({
      session: context.session,
      tokens: context.tokens,
      stillLeads: context.stillLeads,
      stoodStill: context.stoodStill,
      gate,
      direction,
      collection: collection.name,
      origin: its,
      pacer: pacer(),
      sort: plan.sortFailure,
      scopes,
      tell,
      emitError: (error: SyncError) => state.subjects.error.next(error as never),
      changed,
    })

  const streamPacer = pacer()
  const stream$ =
    plan.stream &&
    guardedStream({
      connect: plan.stream,
      lane: lane('pull', { pacer: streamPacer, acceptedToken: undefined }),
      origin: origin.pacer,
      scopes,
      closing: gate.closing,
      clock: world.clock,
    })
  const state = plan.create(attachParts({ ...context, gate, origin: origin.pacer, world, policy }), stream$)
  const conversion = Conversion.takeOver(state)
  const shared = { conversion, idOf, freshness, scopes }

  const pullHandler = plan.pullHandler(state)
  const pull = pullHandler && lane('pull', origin)
  if (state.pull && pull) {
    state.pull.handler = guardedPull({
      ...shared,
      lane: pull,
      handler: pullHandler,
      written: () => state.internalReplicationState?.streamQueue.down,
      onCaughtUp: () => options.onCaughtUp(state),
      unfinished,
      beginResync: (why) => {
        tell({ type: 'resync', collection: collection.name, why })
        return Resync.begin(store, replicationIdentifier, why)
      },
      finishResync: async (resync) => {
        await resync.finish(collection, plan.pushes ? meta : undefined, rejected, world.clock.nowMs())
        if (resync.cause === 'scope-revoked') await scopes.resynced()
      },
    })
  }

  const pushHandler = plan.pushHandler(state)
  const push = pushHandler && lane('push', origin)
  if (state.push && push) {
    state.push.handler = guardedPush({
      ...shared,
      lane: push,
      handler: pushHandler,
      notes,
      rejected,
      collection,
      nowMs: () => world.clock.nowMs(),
      maxBytes: policy.pushBytes,
      isEqual,
      stopped: firstValueFrom(state.canceled$.pipe(filter(Boolean)), { defaultValue: true }).then(() => {}),
      tell,
    })
  }
  const lanes = [pull, push].filter((one) => one !== undefined)
  return { state, gate, tokens: context.tokens, lanes, push, pacers, streamPacer, notes }
}
