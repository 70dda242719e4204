// The schema of the Helm chart's values is generated from cwm's own settings; `npm run docs` writes it.

import { expect, it } from 'vitest'
import { valuesSchema } from './values-schema.ts'

it('the schema of the chart names every setting that the chart does not set itself', async () => {
  await expect(valuesSchema()).toMatchFileSnapshot('../../deploy/helm/cwm/values.schema.json')
})
