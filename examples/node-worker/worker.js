#!/usr/bin/env node
// A Windlass worker in JavaScript: offers functions that workflows call by name.
//
// Copy this file and package.json and replace the functions at its end. It speaks the protocol of
// proto/PROTOCOL.md.
//
//     npm install                                 # Node.js 20 or newer
//     WINDLASS_WORKER_KEY=wk1_... node worker.js

import { randomBytes } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'

import { decode, encode } from '@msgpack/msgpack'
import { connect, credsAuthenticator } from '@nats-io/transport-node'
import nacl from 'tweetnacl'

const FRAME_BYTES = 512 * 1024 // the largest frame, less where the NATS server allows less
const RESULT_BYTES = 16 * 1024 * 1024 // the largest result
const RESULT_DEPTH = 256 // how deep it may nest
const AGAIN = 2_000 // ms until a report that was not answered is repeated: first, then twice as long,
const LONGEST = 8_000 // at most
const LAST_WORDS = 5_000 // ms a worker that leaves waits for answers to its last reports
const STANDARD = 'https://serverlessworkflow.io/spec/1.0.0/errors/'

// Integers beyond 32 bits are BigInt on the way: a number would leave as a float.
const pack = (value) => encode(value, { useBigInt64: true, maxDepth: RESULT_DEPTH + 10 })
const unpack = (bytes) => decode(bytes, { useBigInt64: true })

/** Throw it to end the task with an error of this type; definitions catch it with `try`. */
export class Problem extends Error {
  constructor(type, status, detail, title) {
    super(detail ?? title ?? type)
    if (!Number.isInteger(status) || status < 100 || status > 599) {
      throw new RangeError(`${status} is no status: a whole number from 100 to 599 is`)
    }
    this.fields = { type: textOf(type), status }
    if (title != null) this.fields.title = textOf(title)
    if (detail != null) this.fields.detail = textOf(detail)
  }
}

/** One registration: numbers, encrypts and cuts what is said in it. */
class Session {
  constructor(key, welcome) {
    this.key = key
    this.id = welcome.session
    this.name = Buffer.from(this.id).toString('hex')
    this.beatEvery = Number(welcome.beat_ms)
    this.lease = Number(welcome.lease_ms)
    this.sent = 0n
    this.seen = 0n
    this.partial = null
    this.beats = 0
    this.heard = Date.now()
    this.gone = false
  }

  nonce(direction, counter) {
    const nonce = Buffer.alloc(24)
    nonce.set(this.id.subarray(0, 15))
    nonce[15] = direction
    nonce.writeBigUInt64BE(counter, 16)
    return nonce
  }

  *seal(message, size) {
    const room = size - 8 - 16 - 1
    for (let at = 0; at < message.length; at += room) {
      const part = message.subarray(at, at + room)
      const flags = (at === 0 ? 1 : 0) | (at + room >= message.length ? 2 : 0)
      const plain = Buffer.concat([Buffer.of(flags), part])
      this.sent += 1n
      const counter = Buffer.alloc(8)
      counter.writeBigUInt64BE(this.sent)
      yield Buffer.concat([counter, nacl.box.after(plain, this.nonce(2, this.sent), this.key)])
    }
  }

  /** The message that this frame completes, if it completes one. */
  open(data) {
    const frame = Buffer.from(data)
    if (frame.length < 25) return null
    const counter = frame.readBigUInt64BE(0)
    if (counter <= this.seen) return null
    const plain = nacl.box.open.after(frame.subarray(8), this.nonce(1, counter), this.key)
    if (!plain) return null // not from the coordinator
    const gap = counter !== this.seen + 1n
    this.seen = counter
    if (plain[0] & 1) this.partial = []
    else if (gap) this.partial = null
    if (!this.partial) return null
    this.partial.push(plain.subarray(1))
    if (!(plain[0] & 2)) return null
    const message = Buffer.concat(this.partial)
    this.partial = null
    return message
  }
}

/** Serves functions: name to `async (arguments, call) => result`. */
export class Worker {
  constructor(functions, options) {
    const raw = Buffer.from(options.key.trim().replace(/^wk1_/, ''), 'base64url')
    this.coordinator = raw.subarray(0, 32)
    this.enrolment = raw.subarray(32, 64)
    this.pool = options.pool || raw.subarray(64).toString() || 'default'
    this.identity = `${options.name ?? hostname()}-${randomBytes(4).toString('hex')}`
    this.functions = new Map(Object.entries(functions))
    this.bus = options.bus ?? 'windlass'
    this.concurrency = options.concurrency ?? 64
    this.drain = options.drain ?? 30_000
    this.nats = { servers: (options.url ?? 'nats://127.0.0.1:4222').split(','), ...options.nats }
    this.held = new Map() // calls by nameOf(key), over all sessions
    this.leaveBy = null // when to give up; null until told to stop
    this.gaveUp = false
    this.wake = () => {}
  }

  /** Works until SIGTERM or SIGINT, then drains. Throws when the coordinator refuses it. */
  async run() {
    this.connection = await connect({
      name: this.identity, maxReconnectAttempts: -1, ...this.nats,
    })
    this.connected = true
    this.follow()
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => this.stop())
    while (await this.join()) {
      tell(`joined as ${this.session.name}`)
      if (await this.attend()) break
      tell('the session is gone; joining again')
    }
    await this.connection.close()
  }

  /** Takes nothing more, finishes what runs. */
  stop() {
    if (this.leaveBy !== null) return
    tell('stopping; finishing what runs')
    this.leaveBy = Date.now() + this.drain
    this.wake()
  }

  async follow() {
    for await (const { type } of this.connection.status()) {
      if (type === 'disconnect') this.connected = false
      if (type === 'reconnect') {
        this.connected = true
        // The silence was the connection's. Counters of frames go on: a nonce is never used twice.
        if (this.session) this.session.heard = Date.now()
        this.wake()
      }
    }
  }

  /** Registers, however long it takes; false when it is told to stop and holds nothing. */
  async join() {
    let pause = 50
    while (this.leaveBy === null || (this.held.size > 0 && Date.now() < this.leaveBy)) {
      const ours = nacl.box.keyPair()
      const key = nacl.box.before(this.coordinator, ours.secretKey)
      const introduction = pack({
        enrolment: this.enrolment, pool: this.pool, identity: this.identity,
        version: 'node-1', concurrency: this.concurrency, evaluates: false,
        capabilities: [...this.functions.keys()].map((it) => `function:${it}`),
      })
      const nonce = randomBytes(24)
      const sealed = nacl.box.after(introduction, nonce, key)
      const hello = pack({ protocols: [2], key: ours.publicKey, nonce, sealed })
      let welcome = null
      try {
        const subject = `${this.bus}.coordinator.hello`
        const answer = unpack((await this.connection.request(subject, hello, { timeout: 2_000 })).data)
        welcome = unpack(nacl.box.open.after(answer.sealed, answer.nonce, key))
      } catch {
        // Nobody there, or not the right one: ask again, not all workers at once.
        await sleep(pause * (0.5 + Math.random() / 2))
        pause = Math.min(pause * 2, 2_000)
        continue
      }
      if (welcome.refused) throw new Error(`the coordinator refuses this worker: ${welcome.refused}`)
      this.session = new Session(key, welcome)
      return true
    }
    return false
  }

  /** Stays in the session; true when the worker has left, false when the session is gone. */
  async attend() {
    const session = this.session
    const inbox = this.connection.subscribe(`${this.bus}.worker.${session.name}`, {
      callback: (error, message) => { if (!error) this.hear(session, message.data) },
    })
    for (const held of this.held.values()) [held.againAt, held.wait] = [0, AGAIN]
    for (;;) {
      const now = Date.now()
      if (session.gone || (this.connected && now - session.heard > session.lease)) {
        inbox.unsubscribe()
        return false
      }
      if (this.leaveBy !== null) {
        if (now >= this.leaveBy && !this.gaveUp) this.giveUp()
        if (this.held.size === 0 || now >= this.leaveBy) {
          this.beat(true)
          await this.connection.flush().catch(() => {})
          return true
        }
      }
      this.beat(false)
      await new Promise((woken) => {
        const timer = setTimeout(woken, session.beatEvery)
        this.wake = () => { clearTimeout(timer); woken() }
      })
    }
  }

  /** A sign of life, with everything held; reports that are due go along. */
  beat(goodbye) {
    const leaving = this.leaveBy !== null
    const now = Date.now()
    for (const held of this.held.values()) {
      if (held.outcome && now >= held.againAt) this.report(held)
    }
    this.session.beats += 1
    this.say({
      beat: {
        number: this.session.beats, seen: this.session.seen, leaving, goodbye,
        held: [...this.held.values()].map(({ key, token }) => ({ key, token })),
        concurrency: leaving ? 0 : this.concurrency,
      },
    })
  }

  /** Sends one message. What gets lost is missed and repeated, so errors are no concern. */
  say(message) {
    if (!this.connected) return
    const subject = `${this.bus}.coordinator.session.${this.session.name}`
    const size = Math.min(this.connection.info?.max_payload ?? FRAME_BYTES, FRAME_BYTES)
    try {
      for (const frame of this.session.seal(pack(message), size)) {
        this.connection.publish(subject, frame)
      }
    } catch (error) {
      tell(`a message could not be sent: ${textOf(error)}`)
    }
  }

  hear(session, data) {
    if (session !== this.session) return // the rest of a former one
    if (data.length === 0) {
      session.gone = true
      return this.wake()
    }
    const message = session.open(data)
    if (!message) return
    session.heard = Date.now()
    const said = unpack(message)
    for (const { key } of said.settled ?? []) this.forget(key)
    for (const key of said.cancelled ?? []) this.cancel(this.held.get(nameOf(key)))
    for (const call of said.calls ?? []) this.take(call)
  }

  take(call) {
    const name = nameOf(call.key)
    if (this.held.has(name)) return
    if (this.leaveBy !== null) return this.say({ released: [call.key] })
    const { key, token } = call
    const held = { key, token, abort: new AbortController(), againAt: 0, wait: AGAIN }
    this.held.set(name, held)
    this.perform(call, held.abort.signal).then((outcome) => {
      if (held.cancelled) {
        this.forget(key)
        return this.say({ released: [key] })
      }
      held.outcome = outcome
      this.report(held)
    })
  }

  /** Tells a function that nobody wants its result. It is held until it has ended: it takes a place. */
  cancel(held) {
    if (!held || held.outcome || held.cancelled) return
    held.cancelled = true
    held.abort.abort()
  }

  /** Calls the function; gives what came of it as it is reported. Never throws. */
  async perform(said, cancelled) {
    const left = said.remaining_ms === undefined ? null : Number(said.remaining_ms)
    const late = left === null ? null : AbortSignal.timeout(Math.min(left, 2 ** 31 - 1))
    try {
      let given
      try {
        given = incoming(unpack(said.arguments))
      } catch (error) {
        throw new Problem(`${STANDARD}runtime`, 500, `the arguments cannot be read: ${textOf(error)}`)
      }
      const result = await this.functions.get(said.function)(given, {
        function: said.function,
        idempotencyKey: said.idempotency_key, // the same for every attempt of this visit of the task
        workflow: said.workflow, // namespace, name, version
        reference: said.reference, // JSON pointer of the task
        remaining: left, // ms the task has from now
        traceparent: said.traceparent,
        signal: late ? AbortSignal.any([cancelled, late]) : cancelled, // aborted when it may stop
      })
      const outcome = pack({ result: { Ok: outgoing(result, 0) } })
      if (outcome.length > RESULT_BYTES) {
        throw new RangeError(`the result is larger than ${RESULT_BYTES} bytes`)
      }
      return outcome
    } catch (error) {
      if (error instanceof Problem) return pack({ result: { Err: error.fields } })
      const fields = late?.aborted
        ? { type: `${STANDARD}timeout`, status: 408, detail: 'the task did not end within its timeout' }
        : { type: `${STANDARD}runtime`, status: 500, detail: textOf(error) }
      return pack({ result: { Err: fields } })
    }
  }

  /** Sends a result; again and again until the coordinator has settled it. */
  report(held) {
    held.againAt = Date.now() + held.wait
    held.wait = Math.min(held.wait * 2, LONGEST)
    this.say({ reports: [{ key: held.key, token: held.token, outcome: held.outcome }] })
  }

  /** Hands back what is not finished in time. */
  giveUp() {
    this.gaveUp = true
    this.leaveBy = Date.now() + LAST_WORDS
    for (const held of this.held.values()) this.cancel(held)
  }

  forget(key) {
    this.held.delete(nameOf(key))
    if (this.leaveBy !== null) this.wake()
  }
}

/** What tells deliveries apart; the epoch changes when the coordinator restarts. */
function nameOf(key) {
  return `${Buffer.from(key.instance).toString('hex')} ${key.frame} ${key.delivery}`
}

/** A value as it comes: digits in bytes are an integer beyond 64 bits. */
function incoming(value) {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }
  if (value instanceof Uint8Array) return BigInt(Buffer.from(value).toString())
  if (Array.isArray(value)) return value.map(incoming)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [name, incoming(it)]))
}

/** A value as it leaves: what JSON makes of it, but integers of any size, and errors where JSON would
 * lose something in silence. */
function outgoing(value, level) {
  if (typeof value?.toJSON === 'function') return outgoing(value.toJSON(), level)
  switch (typeof value) {
    case 'undefined': return null
    case 'boolean': return value
    case 'string':
      if (!value.isWellFormed()) throw new TypeError('the result has a text with half of a surrogate pair')
      return value
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError(`the result contains ${value}`)
      return Number.isSafeInteger(value) && Math.abs(value) >= 2 ** 31 ? BigInt(value) : value
    case 'bigint': {
      const small = value >= -(2n ** 63n) && value < 2n ** 63n
      return small ? value : Buffer.from(value.toString())
    }
    case 'object': {
      if (value === null) return null
      if (level >= RESULT_DEPTH) {
        throw new RangeError(`the result is nested deeper than ${RESULT_DEPTH} levels`)
      }
      if (Array.isArray(value)) return value.map((it) => outgoing(it, level + 1))
      if (ArrayBuffer.isView(value)) throw new TypeError('the result contains bytes, which JSON has not')
      const members = Object.entries(value).filter(([, it]) => it !== undefined)
      return Object.fromEntries(members.map(([name, it]) => [outgoing(name, 0), outgoing(it, level + 1)]))
    }
    default: throw new TypeError(`the result contains a ${typeof value}`)
  }
}

/** A text that can be sent, whatever was thrown. */
function textOf(it) {
  try {
    return String(it).toWellFormed()
  } catch {
    return `a ${typeof it} without a text`
  }
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const tell = (text) => console.error(`windlass: ${text}`)

/** Options of `Worker` from the same variables that `windlass worker` reads. */
export function fromEnvironment(env = process.env) {
  const key = env.WINDLASS_WORKER_KEY || readFileSync(env.WINDLASS_KEY_FILE ?? 'worker.key', 'utf8')
  const credentials = env.WINDLASS_NATS_CREDS
  const nats = credentials ? { authenticator: credsAuthenticator(readFileSync(credentials)) } : {}
  const concurrency = Number(env.WINDLASS_CONCURRENCY || 64)
  return { key, concurrency, nats, url: env.WINDLASS_NATS, bus: env.WINDLASS_BUS, pool: env.WINDLASS_POOL }
}

// ---- Your functions: arguments are the evaluated `with` of the task, the result is its raw output.

async function convert(given) {
  const rates = { EUR: 1, USD: 1.25 }
  for (const currency of [given.from, given.to]) {
    if (!Object.hasOwn(rates, currency)) {
      throw new Problem('https://example.com/errors/currency', 422, `no rate for ${currency}`)
    }
  }
  const amount = (given.amount / rates[given.from]) * rates[given.to]
  return { amount: Math.round(amount * 100) / 100, currency: given.to }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await new Worker({ convert }, fromEnvironment()).run()
}
