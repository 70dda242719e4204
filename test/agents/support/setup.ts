// Before any test: the agents are installed.

import { installAgents } from './install.ts'

export default installAgents
