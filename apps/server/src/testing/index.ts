export { type TemporaryDataDir, temporaryDataDir } from './temporary-data-dir.ts'
export { type Account, TestClient } from './test-client.ts'
export { startTestServer, type TestServer } from './test-server.ts'
