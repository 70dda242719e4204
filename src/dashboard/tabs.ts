// The tabs of the dashboard, in their order. Each is a folder of its own; its routes are mounted from here, and nowhere else.

import { ask } from './ask/routes.tsx'
import { events } from './events/routes.tsx'
import { fleet } from './fleet/routes.tsx'
import { keys } from './keys/routes.tsx'
import type { Tab } from './layout.tsx'
import { overview } from './overview/routes.tsx'
import type { Mount } from './pages.tsx'
import { sessions } from './sessions/routes.tsx'
import { tenants } from './tenants/routes.tsx'
import { usage } from './usage/routes.tsx'
import { windows } from './windows/routes.tsx'

export const tabs: readonly (Tab & { readonly mount: Mount })[] = [
  { key: 'overview', title: 'Overview', path: '', scope: 'any', mount: overview },
  { key: 'sessions', title: 'Sessions', path: '/sessions', scope: 'tenant', mount: sessions },
  { key: 'windows', title: 'Windows', path: '/windows', scope: 'tenant', mount: windows },
  { key: 'ask', title: 'Ask', path: '/ask', scope: 'tenant', mount: ask },
  { key: 'fleet', title: 'Fleet', path: '/fleet', scope: 'any', mount: fleet },
  { key: 'usage', title: 'Usage', path: '/usage', scope: 'any', mount: usage },
  { key: 'events', title: 'Events', path: '/events', scope: 'any', mount: events },
  { key: 'tenants', title: 'Tenants', path: '/tenants', scope: 'operator', mount: tenants },
  { key: 'keys', title: 'Keys', path: '/keys', scope: 'operator', mount: keys },
]
