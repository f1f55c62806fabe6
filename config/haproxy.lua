-- Asks Tollgate about a request, for haproxy.cfg: `http-request lua.tollgate`.

-- Where Tollgate is asked.
local DECIDE = "http://127.0.0.1:8080/decide"

-- What is told of the client. Tollgate names each in every answer, empty where there is nothing.
local IDENTITY = {
    "x-entitlement-account",
    "x-entitlement-user",
    "x-entitlement-tier",
    "x-entitlement-status",
    "x-entitlement-features",
    "x-entitlement-addons",
    "x-entitlement-valid-until",
    "x-entitlement-degraded",
    "x-entitlement-usage",
    "x-entitlement-reservation",
    "x-entitlement-assertion",
}

-- Headers of one connection or one body: they are not passed on, neither way.
local OWN = {
    ["connection"] = true,
    ["content-length"] = true,
    ["expect"] = true,
    ["host"] = true,
    ["keep-alive"] = true,
    ["proxy-connection"] = true,
    ["te"] = true,
    ["trailer"] = true,
    ["transfer-encoding"] = true,
    ["upgrade"] = true,
}

local UNREACHABLE = '{"type":"about:blank","title":"Service Unavailable","status":503,"code":"gate_unreachable"}'

-- The client's headers, and what is asked about.
local function question(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not OWN[name] then
            headers[name] = {}
            for _, value in pairs(values) do
                table.insert(headers[name], value)
            end
        end
    end
    local host = txn.sf:req_hdr("host")
    headers["host"] = { host }
    headers["x-forwarded-host"] = { host }
    headers["x-forwarded-method"] = { txn.sf:method() }
    headers["x-forwarded-uri"] = { txn.sf:pathq() }
    return { url = DECIDE, headers = headers }
end

local function answer(txn, status, headers, body)
    local reply = txn:reply()
    reply:set_status(status)
    for _, header in ipairs(headers) do
        reply:add_header(header[1], header[2])
    end
    reply:set_body(body)
    txn:done(reply)
end

local function ask(txn)
    local told = core.httpclient():get(question(txn))
    -- Whatever does not name them all is no answer of Tollgate.
    local is_tollgates = told ~= nil and told.headers ~= nil
    for _, name in ipairs(IDENTITY) do
        is_tollgates = is_tollgates and told.headers[name] ~= nil
    end
    if not is_tollgates then
        local headers = { { "content-type", "application/problem+json" }, { "cache-control", "no-store" }, { "retry-after", "1" } }
        return answer(txn, 503, headers, UNREACHABLE)
    end
    if told.status >= 200 and told.status < 300 then
        for _, name in ipairs(IDENTITY) do
            local value = told.headers[name][0]
            if value == nil or value == "" then
                txn.http:req_del_header(name)
            else
                txn.http:req_set_header(name, value)
            end
        end
        return
    end
    local headers = {}
    for name, values in pairs(told.headers) do
        if not OWN[name] and not name:find("^x%-entitlement%-") then
            for _, value in pairs(values) do
                table.insert(headers, { name, value })
            end
        end
    end
    return answer(txn, told.status, headers, told.body or "")
end

core.register_action("tollgate", { "http-req" }, ask, 0)
