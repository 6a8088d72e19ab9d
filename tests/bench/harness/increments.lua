-- The load of the benchmarks, for wrk: posts increments and keeps the books of what it sent.
--
-- wrk stops in the middle of requests, whose outcome nobody would know. So at the end of the time
-- this script sends nothing more (an empty request leaves its connection quiet) while wrk runs on:
-- every request that is in the books is answered before wrk ends, and the books are exact.
--
-- Arguments are name=value, as harness/load.ts passes them. One thread only: it has the books.

local ffi = require('ffi')
ffi.cdef([[
  typedef struct { long seconds; long nanoseconds; } bench_time;
  int clock_gettime(int clock, bench_time *time);
]])
local MONOTONIC = ffi.os == 'OSX' and 6 or 1
local time = ffi.new('bench_time')

-- Zipf draws are made beforehand and gone through in turn; a draw for each request would cost more
-- than the request.
local DRAWS = 131072

local settings = { seconds = 10, keys = 1000, spread = 'uniform', batch = 1, rate = 0, tag = 1 }
local heads, tails, pick
local calls, endsAt, nextSlot = 0, nil, nil

-- Read by done(), which has a state of its own.
keys, sent, batch = {}, {}, 1

function init(args)
  for _, arg in ipairs(args) do
    local name, value = arg:match('^(%w+)=(.*)$')
    if name then settings[name] = tonumber(value) or value end
  end
  math.randomseed(settings.tag)
  batch = settings.batch
  for i = 1, settings.keys do
    keys[i] = string.format('%08x-0000-4000-8000-000000000001', (i * 2654435761) % 4294967296)
    sent[i] = 0
  end
  heads, tails = writeRequests()
  pick = ({ uniform = pickUniform, hot = pickHot, zipf = pickZipf })[settings.spread]()
  if settings.rate > 0 then delay = waitForSlot end
end

function request()
  calls = calls + 1
  -- wrk asks once for a sample that it does not send.
  if calls == 1 then return heads[1] .. tails[1] end
  local now = readClock()
  if endsAt == nil then endsAt = now + settings.seconds end
  if now >= endsAt then return '' end
  local i = pick()
  sent[i] = sent[i] + 1
  if settings.once then
    return heads[i] .. 'Idempotency-Key: ' .. settings.tag .. '-' .. calls .. '\r\n' .. tails[i]
  end
  return heads[i]
end

-- The books: for each key the sum that was sent. A request for place i adds i % 1000 + 1.
local thread
function setup(it) thread = it end

function done(summary, latency)
  local sent, keys, batch = thread:get('sent'), thread:get('keys'), thread:get('batch')
  local sums, requests = {}, 0
  for i = 1, #sent do
    requests = requests + sent[i]
    if sent[i] > 0 then
      for n = i, i + batch - 1 do
        local place = (n - 1) % #keys + 1
        sums[place] = (sums[place] or 0) + sent[i] * valueOf(place)
      end
    end
  end
  local lines = {}
  for i, sum in pairs(sums) do lines[#lines + 1] = string.format('"%s":%.0f', keys[i], sum) end
  local errors = summary.errors
  io.write('BOOKS ', string.format(
    '{"requests":%d,"increments":%.0f,"answered":%d,"failed":%d,"refused":%d,',
    requests, requests * batch, summary.requests,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
  io.write(string.format(
    '"p50Ms":%.3f,"p90Ms":%.3f,"p99Ms":%.3f,"maxMs":%.3f,"sums":{',
    latency:percentile(50) / 1000, latency:percentile(90) / 1000,
    latency:percentile(99) / 1000, latency.max / 1000))
  io.write(table.concat(lines, ','), '}}\n')
end

function valueOf(i) return i % 1000 + 1 end

-- Whole requests, or what is before and after an idempotency key.
function writeRequests()
  local heads, tails = {}, {}
  local path = settings.batch > 1 and '/increments' or '/increment'
  for i = 1, settings.keys do
    local body = writeBody(i)
    local head = 'POST ' .. path .. ' HTTP/1.1\r\nHost: ' .. (wrk.host or 'localhost')
      .. '\r\nContent-Type: application/json\r\nContent-Length: ' .. #body .. '\r\n'
    heads[i] = settings.once and head or head .. '\r\n' .. body
    tails[i] = settings.once and '\r\n' .. body or ''
    -- A bulk request is large: some of them, at places apart, do as well.
    if settings.batch > 1 and i >= 16 then break end
  end
  return heads, tails
end

function writeBody(i)
  if settings.batch == 1 then return writeIncrement(i) end
  local items = {}
  for n = i, i + settings.batch - 1 do
    items[#items + 1] = writeIncrement((n - 1) % settings.keys + 1)
  end
  return '[' .. table.concat(items, ',') .. ']'
end

function writeIncrement(i)
  return string.format('{"key":"%s","value":%d}', keys[i], valueOf(i))
end

function pickHot() return function() return 1 end end

function pickUniform()
  local count = #heads
  return function() return math.random(count) end
end

-- The k-th key is asked for 1/k as often as the first, as words in a language are.
function pickZipf()
  local bounds, sum = {}, 0
  for i = 1, #heads do
    sum = sum + 1 / i
    bounds[i] = sum
  end
  local draws = {}
  for n = 1, DRAWS do
    local wanted, low, high = math.random() * sum, 1, #heads
    while low < high do
      local middle = math.floor((low + high) / 2)
      if bounds[middle] < wanted then low = middle + 1 else high = middle end
    end
    draws[n] = low
  end
  local n = 0
  return function()
    n = n % DRAWS + 1
    return draws[n]
  end
end

-- A steady rate: milliseconds until the next slot. What was missed is caught up for a second only.
function waitForSlot()
  local now = readClock()
  if nextSlot == nil or nextSlot < now - 1 then nextSlot = now end
  nextSlot = nextSlot + 1 / settings.rate
  return math.max(0, math.floor((nextSlot - now) * 1000))
end

function readClock()
  ffi.C.clock_gettime(MONOTONIC, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end
