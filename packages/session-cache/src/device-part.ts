import type { DeviceKeys } from './device-row.ts'
import { isPlainObject, utf8 } from './encoding.ts'
import { type Binding, type Envelope, seal, unseal } from './envelope.ts'
import type { DevicePart, UserRow } from './user-row.ts'

export async function sealDevicePart(
  part: DevicePart,
  keys: DeviceKeys,
  binding: Omit<Binding, 'field'>,
): Promise<Pick<UserRow, 'devicePart'>> {
  if (Object.keys(part).length === 0) return {}
  return { devicePart: await seal(keys.sealing, utf8(JSON.stringify(part)), { ...binding, field: 'device-part' }) }
}

/** Empty when it is damaged: nobody needs it to open the user. */
export async function openDevicePart(
  envelope: Envelope | undefined,
  keys: DeviceKeys,
  binding: Omit<Binding, 'field'>,
): Promise<DevicePart> {
  if (!envelope) return {}
  try {
    const part: unknown = JSON.parse(new TextDecoder().decode(await unseal(keys.sealing, envelope, { ...binding, field: 'device-part' })))
    if (!isPlainObject(part)) return {}
    return {
      ...(typeof part.label === 'string' && { label: part.label }),
      ...(typeof part.revokeHandle === 'string' && { revokeHandle: part.revokeHandle }),
    }
  } catch {
    return {}
  }
}
