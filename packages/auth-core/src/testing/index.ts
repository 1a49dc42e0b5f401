export { authBackendContract, type BackendStage } from './auth-backend-contract.ts'
export { type Fault, faults, ScriptedServer, type SeenRequest } from './scripted-server.ts'
export { type StoreDevice, sessionStoreContract } from './session-store-contract.ts'
export { SimulatedDevice, SimulatedTab, settle } from './simulated-world.ts'
