// Looks at pages in headless Chromium, as somebody would: `node pages.mjs SERVER CHROMIUM LIBRARIES
// INSTANCE APPROVAL AXE PICTURES`. What the browser has to complain of goes to standard error and ends
// it with 1, and so does what axe finds serious; pictures are made where a folder is named.
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const [server, executablePath, libraries, instance, approval, axe, pictures] = process.argv.slice(2)
const axeSource = readFileSync(axe, 'utf8')
const patience = 60_000
const browser = await chromium.launch({
  executablePath, timeout: patience,
  // Tests run as root too, where its sandbox cannot be made.
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  env: { ...process.env, LD_LIBRARY_PATH: libraries },
})
const wrong = []
const expect = (is, what) => { if (!is) wrong.push(what) }
const look = async (options) => {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  page.on('console', (it) => wrong.push(`${page.url()}: ${it.type()}: ${it.text()}`))
  page.on('pageerror', (it) => wrong.push(`${page.url()}: ${it}`))
  page.on('dialog', (it) => { wrong.push(`${page.url()}: a dialog: ${it.message()}`); it.dismiss() })
  page.on('request', (it) => expect(it.url().startsWith(`${server}/ui`), `asked for ${it.url()}`))
  return page
}
const PATHS = ['instances', `instances/${instance}`, `instances/${instance}/history`, 'definitions',
  'definitions/odd/texts', 'definitions/odd/waits', 'schedules', 'workers', 'events', 'events/odd',
  'bulk', 'audit', 'approvals', approval, 'schedules/odd/tick', 'secrets', 'who',
  'instances?filter=name%3Dwaits', 'definitions/odd/waits/diff?from=1.0.0&to=1.0.0']
// What axe finds by WCAG 2.2 A and AA that is serious or worse, forms unfolded.
const check = async (page, path) => {
  await page.evaluate(() => {
    document.querySelectorAll('details').forEach((it) => { it.open = true })
  })
  await page.evaluate(axeSource)
  const found = await page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
    resultTypes: ['violations'],
  }))
  for (const it of found.violations.filter((it) => ['serious', 'critical'].includes(it.impact))) {
    wrong.push(`${path}: ${it.id}: ${it.help}: ${it.nodes.slice(0, 3).map((of) => of.html).join(' | ')}`)
  }
}
const KINDS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true },
  plain: { javaScriptEnabled: false, viewport: { width: 1280, height: 900 } },
}
for (const [kind, options] of Object.entries(KINDS)) {
  const page = await look(options)
  for (const path of PATHS) {
    await page.goto(`${server}/ui/${path}`)
    expect(await page.locator('main h1').count() === 1, `${path} has no title`)
    if (kind === 'phone') {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect(wide <= 0, `${path} is ${wide} pixels wider than a phone`)
    }
    if (pictures) {
      const name = path.replaceAll(/[^a-z0-9]/g, '-').replace(instance, 'one')
      await page.screenshot({ path: `${pictures}/${kind}-${name}.png`, fullPage: true })
    }
    if (kind !== 'plain') await check(page, `${kind} ${path}`)
  }
  await page.context().close()
}
// An order by a form, and the page that follows the instance by itself.
const page = await look(KINDS.light)
const following = await look(KINDS.light)
await following.goto(`${server}/ui/instances/${instance}`)
await page.goto(`${server}/ui/instances/${instance}`)
await page.locator('#order-suspend summary').click()
await page.locator('#reason-suspend').fill('seen by a browser')
await page.locator('#order-suspend button[type=submit]').click()
await page.locator('h1 .suspended').waitFor()
await following.locator('h1 .suspended').waitFor()
await page.locator('#order-cancel summary').click()
await page.locator('#order-cancel button[type=submit]').click()
await following.locator('h1 .cancelled').waitFor()
await following.locator('#orders').waitFor({ state: 'attached' })
expect(await following.locator('#order-cancel').count() === 0, 'a form is left that does nothing')
await following.getByRole('button', { name: /^Times/ }).click()
await following.getByRole('button', { name: 'Dark' }).click()
expect(await following.evaluate(() => document.documentElement.dataset.theme) === 'dark', 'theme')
// Keys.
await following.keyboard.press('?')
await following.locator('dialog#keys[open]').waitFor()
await check(following, 'keys')
await following.keyboard.press('Escape')
await following.keyboard.press('g')
await following.keyboard.press('i')
await following.waitForURL(`${server}/ui/instances`)
await following.keyboard.press('/')
expect(await following.evaluate(() => document.activeElement.id) === 'filter', 'the filter')
await browser.close()
console.error(wrong.join('\n'))
process.exitCode = wrong.length === 0 ? 0 : 1
