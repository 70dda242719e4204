// Splits answers into groups that fit into the context of the model that reduces them.

import { CwmError } from '../base/errors.ts'

/**
 * As few groups as halving finds, for items that do not all fit together or are several. Throws `CONTEXT_LENGTH_EXCEEDED` if no two
 * neighbors fit together: reducing the groups would then not make them fewer.
 */
export async function groupsThatFit<T>(
  items: readonly T[],
  fits: (group: readonly T[]) => Promise<boolean>,
): Promise<readonly (readonly T[])[]> {
  const groups = await halve(items, fits)
  if (groups.length === items.length) {
    throw new CwmError(
      'CONTEXT_LENGTH_EXCEEDED',
      'two answers do not fit into the context of the model that reduces them; lower max_tokens, or choose another reduce_model',
      { param: 'max_tokens' },
    )
  }
  return groups
}

async function halve<T>(
  items: readonly T[],
  fits: (group: readonly T[]) => Promise<boolean>,
): Promise<readonly (readonly T[])[]> {
  if (items.length <= 1 || (await fits(items))) return [items]
  const middle = Math.ceil(items.length / 2)
  return [...(await halve(items.slice(0, middle), fits)), ...(await halve(items.slice(middle), fits))]
}
