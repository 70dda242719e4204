// Python with the SDKs of OpenAI and Anthropic. Without them, their tests are skipped; on CI they fail.

import { execFileSync } from 'node:child_process'

/** The interpreter: `CWM_TEST_PYTHON`, or python3. */
export const python = process.env.CWM_TEST_PYTHON ?? 'python3'
const INSTALL = 'pip install openai anthropic (CWM_TEST_PYTHON names another python3)'

/** For `describe.skipIf`. Prints once what is missing. */
export const noPythonSdks = process.env.CI !== 'true' && !hasSdks()
if (noPythonSdks) console.warn(`The SDKs for Python are missing: ${INSTALL}; their tests are skipped`)

function hasSdks(): boolean {
  const find = "import importlib.util as u, sys; sys.exit(not (u.find_spec('openai') and u.find_spec('anthropic')))"
  try {
    execFileSync(python, ['-c', find], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
