// Looks at pages in headless Chromium, as somebody would: `node pages.mjs SERVER CHROMIUM LIBRARIES
// INSTANCE PICTURES`. What the browser has to complain of goes to standard error and ends it with 1;
// pictures are made where a folder is named.
import { chromium } from 'playwright-core'

const [server, executablePath, libraries, instance, pictures] = process.argv.slice(2)
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
  'bulk', 'audit']
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
      const name = `${kind}-${path.replaceAll('/', '-').replace(instance, 'one')}.png`
      await page.screenshot({ path: `${pictures}/${name}`, fullPage: true })
    }
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
expect(await following.locator('#orders form').count() === 0, 'forms are left that do nothing')
await following.getByRole('button', { name: /^Times/ }).click()
await following.getByRole('button', { name: 'Dark' }).click()
expect(await following.evaluate(() => document.documentElement.dataset.theme) === 'dark', 'theme')
await browser.close()
console.error(wrong.join('\n'))
process.exitCode = wrong.length === 0 ? 0 : 1
