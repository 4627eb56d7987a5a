-- Asks Buckler about each mail. Copy to /etc/rspamd/rspamd.local.lua (or append to it), then:
--   buckler serve email            # listens on 127.0.0.1:8811
--   rspamadm configtest && systemctl reload rspamd
-- A detection adds BUCKLER_DETECTION with the score as its weight; any other verdict adds nothing.
-- A mail is accepted as before if no answer comes: the gateway does not depend on the service.

local rspamd_http = require "rspamd_http"
local rspamd_logger = require "rspamd_logger"
local ucl = require "ucl"

local settings = {
  url = "http://127.0.0.1:8811/v1/score?explain=3", -- with several bundles: add &model=email
  key = nil, -- an API key of the server, if it asks for one
  timeout = 1.0, -- seconds
  max_size = 4 * 1024 * 1024, -- bytes; larger mails are not asked about
  score = 6.0, -- rspamd's points for a score of 1
}

local function ask(task)
  local mail = tostring(task:get_content())
  if #mail == 0 or #mail > settings.max_size then return end

  local function answer(err, code, body)
    if err or code ~= 200 then
      rspamd_logger.warnx(task, "buckler: no verdict (%s)", err or code)
      task:insert_result("BUCKLER_FAIL", 0.0, tostring(err or code))
      return
    end
    local parser = ucl.parser()
    local ok, problem = parser:parse_string(tostring(body))
    if not ok then
      rspamd_logger.warnx(task, "buckler: unreadable verdict (%s)", problem)
      return
    end
    local verdict = parser:get_object()
    if verdict.detected then
      local shown = string.format("%s %.4f", verdict.label, verdict.score)
      task:insert_result("BUCKLER_DETECTION", verdict.score, shown, verdict.because or "")
    end
  end

  local headers = {}
  if settings.key then headers["Authorization"] = "Bearer " .. settings.key end
  rspamd_http.request({
    task = task,
    url = settings.url,
    method = "post",
    mime_type = "application/json",
    headers = headers,
    body = ucl.to_format({ text = mail }, "json-compact"),
    timeout = settings.timeout,
    callback = answer,
  })
end

local id = rspamd_config:register_symbol({
  name = "BUCKLER_CHECK",
  type = "callback",
  callback = ask,
  flags = "empty",
})
for name, points in pairs({ BUCKLER_DETECTION = settings.score, BUCKLER_FAIL = 0.0 }) do
  rspamd_config:register_symbol({ name = name, type = "virtual", parent = id, score = points })
  rspamd_config:set_metric_symbol({
    name = name,
    score = points,
    description = "Verdict of Buckler",
    group = "buckler",
  })
end
