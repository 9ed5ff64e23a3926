/**
 * What Redis does in one step. Keys below the prefix: `d:<unit>` a decision, `c:<id>` a conversation (hash of units,
 * tip, epoch, label and record), `u:<unit>` and `n:<label>` the id of a conversation, `mark` tells one life of the
 * data from the next. All expire. Scripts and not SET NX GET: these work from Redis 5 on and on Valkey.
 */
import { createHash } from 'node:crypto';

export interface Script {
  readonly text: string;
  readonly sha: string;
}

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/** KEYS: the key. ARGV: value, seconds. Answers what stood there before, and keeps it; nil = the value was stored. */
export const putIfAbsent: Script = script(`
local stored = redis.call('GET', KEYS[1])
if stored then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  return stored
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return false
`);

/** KEYS: the key. ARGV: seconds. */
export const read: Script = script(`
local stored = redis.call('GET', KEYS[1])
if stored then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return stored
`);

/** ARGV: prefix, label or '', units. Answers the record that the last known unit, else the label, points to. */
export const find: Script = script(`
local prefix = ARGV[1]
local function recordOf(pointer)
  local id = redis.call('GET', pointer)
  return id and redis.call('HGET', prefix .. 'c:' .. id, 'record')
end
for at = #ARGV, 3, -1 do
  local record = recordOf(prefix .. 'u:' .. ARGV[at])
  if record then return record end
end
if ARGV[2] == '' then return false end
return recordOf(prefix .. 'n:' .. ARGV[2]) or false
`);

/**
 * ARGV: prefix, seconds, id for a new conversation, label or '', epoch, record, units. Answers the stored record when
 * that is the same branch in a later epoch, and stores nothing then; else nil.
 */
export const remember: Script = script(`
local prefix, seconds, id, label = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local epoch, record, first = tonumber(ARGV[5]), ARGV[6], 6
local count = #ARGV - first
for at = count, 1, -1 do
  local known = redis.call('GET', prefix .. 'u:' .. ARGV[first + at])
  local stored = known and
    redis.call('HMGET', prefix .. 'c:' .. known, 'units', 'tip', 'epoch', 'label', 'record')
  if stored and stored[1] then
    local units = tonumber(stored[1])
    local goesOn = units <= count and ARGV[first + units] == stored[2]
    if tonumber(stored[3]) > epoch and (goesOn or at == count) then return stored[5] end
    if goesOn and stored[4] == label then id = known end
    break
  end
end
local tip = count > 0 and ARGV[first + count] or ''
redis.call('HSET', prefix .. 'c:' .. id,
  'units', count, 'tip', tip, 'epoch', epoch, 'label', label, 'record', record)
redis.call('EXPIRE', prefix .. 'c:' .. id, seconds)
for at = 1, count do
  redis.call('SET', prefix .. 'u:' .. ARGV[first + at], id, 'EX', seconds)
end
if label ~= '' then redis.call('SET', prefix .. 'n:' .. label, id, 'EX', seconds) end
return false
`);
