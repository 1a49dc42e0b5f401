export { memoryHints, realmLocks, realWorld } from './real-world.ts'
export type {
  Channel,
  Channels,
  Clock,
  Connectivity,
  HintStore,
  Lifecycle,
  LifecycleSignal,
  Locks,
  Random,
  Timers,
  Undo,
  World,
} from './world.ts'
