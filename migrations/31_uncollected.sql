-- Facts about money that is not collected: until when a pause lasts, and which bills were written off.

-- When collection goes on by itself.
alter table subscriptions add column resumes_at timestamptz;

-- When its seller wrote a bill off.
alter table invoices add column written_off_at timestamptz;
