// Adds up the JSON reports of all test runs and prints the line that CI reads. Fails when a run left no report or a test failed.
import { readdirSync, readFileSync } from 'node:fs'

const folder = process.argv[2]
const reports = readdirSync(folder).map((name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')))
const sum = (field) => reports.reduce((total, report) => total + report[field], 0)
const passed = sum('numPassedTests')
const failed = sum('numFailedTests')
// A suite that fails before its first test counts no failed test.
const broken = reports.filter((report) => !report.success).length
console.log(`${passed} passed, ${Math.max(failed, broken)} failed, ${sum('numPendingTests')} skipped`)
if (reports.length < 6 || failed > 0 || broken > 0) process.exit(1)
