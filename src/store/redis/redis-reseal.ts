// Re-encrypts data in Redis after encryption was enabled or its key rotated. It checks the first bytes of each value, tenant by tenant.
// There is no index by key, so a call that finds nothing to do has checked everything.

import type { Place, Sealer } from '../seal.ts'
import type { Store } from '../store.ts'
import { jsonInBytes } from '../stored-values.ts'
import { sequencesPlace } from './redis-deletions.ts'
import { libraryPartPlace, libraryPlace } from './redis-libraries.ts'
import { turnPlace } from './redis-retained.ts'
import type { RedisRows } from './redis-rows.ts'
import { fromStored, keyIdOf, toStored, windowFromStored, windowTextsKeyId, windowToStored } from './redis-values.ts'
import { idsPlace, promptPlace } from './redis-windows.ts'

const headBytes = 5
const namesAtOnce = 200

/** A value that may need re-encryption. */
interface Value {
  readonly tenant: string
  readonly key: string
  readonly place: Place
}

/** `reseal` of the store. `allSealed` is called when nothing is left to re-encrypt. */
export function resealIn(rows: RedisRows, allSealed: (sealer: Sealer) => Promise<void>): Pick<Store, 'reseal'> {
  const { sealer } = rows

  function resealValue({ tenant, key, place }: Value, current: Sealer): Promise<boolean> {
    return rows.atomically(
      tenant,
      async (tx) => {
        const stored = (await rows.contents.call('GET', key)) as Buffer | null
        if (stored === null || keyIdOf(stored) === current.keyId) return false
        tx.expect(key, stored)
        tx.write('SET', key, toStored(current, fromStored(current, stored, place), place))
        return true
      },
      rows.contents,
    )
  }

  /** `key`: of a window or a held window. */
  function resealWords(tenant: string, key: string, current: Sealer): Promise<boolean> {
    return rows.atomically(tenant, async (tx) => {
      const stored = await rows.get(key)
      if (stored === null || [undefined, current.keyId].includes(windowTextsKeyId(stored))) return false
      tx.expect(key, stored)
      tx.write('SET', key, windowToStored(current, windowFromStored(current, stored)))
      return true
    })
  }

  /** Those of `values` that are not sealed with the current key. */
  async function unsealed(values: readonly Value[], current: Sealer): Promise<readonly Value[]> {
    const heads = await Promise.all(values.map(({ key }) => rows.link.call('GETRANGE', key, 0, headBytes - 1)))
    return values.filter((_, n) => {
      const head = heads[n] as Buffer
      return head.length > 0 && keyIdOf(head) !== current.keyId
    })
  }

  async function windowsOf(tenant: string, names: readonly string[], current: Sealer, atMost: number) {
    const keys = rows.keysOf(tenant)
    const records = await rows.getAll(names.map((name) => keys.window(name)))
    let done = 0
    const values: Value[] = []
    for (const [n, name] of names.entries()) {
      const stored = records[n]
      if (!stored) continue
      const { id } = jsonInBytes<{ record: { id: string } }>(stored).record
      values.push({ tenant, key: keys.prompt(name), place: promptPlace(tenant, name, id) })
      values.push({ tenant, key: keys.tokenIds(name), place: idsPlace(tenant, name, id) })
      if (done < atMost && ![undefined, current.keyId].includes(windowTextsKeyId(stored))) {
        done += Number(await resealWords(tenant, keys.window(name), current))
      }
    }
    return done + (await valuesOf(values, current, atMost - done))
  }

  async function heldOf(tenant: string, current: Sealer, atMost: number): Promise<number> {
    const keys = rows.keysOf(tenant)
    let done = 0
    const values: Value[] = []
    for (const id of await rows.texts('HKEYS', keys.held)) {
      const stored = await rows.get(keys.heldWindow(id))
      if (stored === null) continue
      const { name } = jsonInBytes<{ record: { name: string } }>(stored).record
      values.push({ tenant, key: keys.heldPrompt(id), place: promptPlace(tenant, name, id) })
      values.push({ tenant, key: keys.heldTokenIds(id), place: idsPlace(tenant, name, id) })
      if (done < atMost) done += Number(await resealWords(tenant, keys.heldWindow(id), current))
    }
    return done + (await valuesOf(values, current, atMost - done))
  }

  async function valuesOf(values: readonly Value[], current: Sealer, atMost: number): Promise<number> {
    let done = 0
    for (const value of atMost <= 0 ? [] : (await unsealed(values, current)).slice(0, atMost)) {
      done += Number(await resealValue(value, current))
    }
    return done
  }

  async function librariesOf(tenant: string): Promise<readonly Value[]> {
    const keys = rows.keysOf(tenant)
    const values: Value[] = []
    for (const name of await rows.texts('ZRANGE', keys.libraries, 0, -1)) {
      values.push({ tenant, key: keys.library(name), place: libraryPlace(tenant, name) })
      for (const window of await rows.texts('HKEYS', keys.libraryParts(name))) {
        const place = libraryPartPlace(tenant, name, window)
        values.push({ tenant, key: keys.libraryPart(name, window), place })
      }
    }
    return values
  }

  async function resealTenant(tenant: string, current: Sealer, atMost: number): Promise<number> {
    const keys = rows.keysOf(tenant)
    let done = 0
    for (let from = 0; done < atMost; from += namesAtOnce) {
      const names = await rows.texts('ZRANGE', keys.windowsBy('name'), from, from + namesAtOnce - 1)
      if (names.length === 0) break
      done += await windowsOf(tenant, names, current, atMost - done)
    }
    done += await heldOf(tenant, current, atMost - done)
    const open = [keys.openDeletions, keys.newerDeletions].map((list) => rows.texts('ZRANGE', list, 0, -1))
    const orders = (await Promise.all(open)).flat().map((id) => {
      return { tenant, key: keys.sequences(id), place: sequencesPlace(tenant, id) }
    })
    const turns = (await rows.texts('SMEMBERS', keys.turns)).map((id) => {
      return { tenant, key: keys.turn(id), place: turnPlace(tenant, id) }
    })
    const libraries = await librariesOf(tenant)
    return done + (await valuesOf([...orders, ...turns, ...libraries], current, atMost - done))
  }

  return {
    async reseal(atMost) {
      if (sealer === undefined) return 0
      let done = 0
      for (const tenant of await rows.tenants()) {
        if (done >= atMost) break
        done += await resealTenant(tenant, sealer, atMost - done)
      }
      if (done === 0) await allSealed(sealer)
      return done
    },
  }
}
