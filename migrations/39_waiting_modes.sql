-- Events that wait for another key have their mode beside them: those that no key fits are passed over without reading one of them.

alter table events_for_key
    add column mode text not null default 'unknown',
    add constraint events_for_key_mode_known check (mode in ('live', 'test', 'unknown')) not valid;

update events_for_key k set mode = case when w.livemode then 'live' else 'test' end
from webhook_events w where w.id = k.event and w.livemode is not null;

-- "Which events does this key fit?"
create index events_for_key_fitting on events_for_key (provider, mode, event);
