//! A line of the log as JSON, like that of `tracing-subscriber`, which writes it in some two hundred pieces and looks at each
//! whether it is UTF-8: a quarter of what a refusal took. This one is made in memory and written once.

use std::fmt;

use serde::Serializer as _;
use serde::ser::{Error as _, SerializeMap};
use serde_json::{Serializer, Value};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_serde::{AsSerde, SerdeMapVisitor};
use tracing_subscriber::fmt::format::{FormatEvent, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// Most lines are shorter.
const LINE_BYTES: usize = 512;

/// Makes the lines.
pub(super) struct JsonLine;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLine {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
        let line = line(&time, event, span).map_err(|_| fmt::Error)?;
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

fn line<S: for<'a> LookupSpan<'a>>(
    time: &str,
    event: &Event<'_>,
    span: Option<SpanRef<'_, S>>,
) -> serde_json::Result<Vec<u8>> {
    // An event of the crate `log` says in its fields where it is from.
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    let mut line = Vec::with_capacity(LINE_BYTES);
    let mut json = Serializer::new(&mut line);
    let mut map = json.serialize_map(None)?;
    map.serialize_entry("timestamp", time)?;
    map.serialize_entry("level", &metadata.level().as_serde())?;
    let mut fields = SerdeMapVisitor::new(map);
    event.record(&mut fields);
    let mut map = fields.take_serializer()?;
    map.serialize_entry("target", metadata.target())?;
    if let Some(span) = span {
        map.serialize_entry("span", &fields_of(&span)?)?;
    }
    map.end()?;
    line.push(b'\n');
    Ok(line)
}

/// The fields of a span, and its name.
fn fields_of<S: for<'a> LookupSpan<'a>>(span: &SpanRef<'_, S>) -> serde_json::Result<Value> {
    let extensions = span.extensions();
    let written = extensions.get::<FormattedFields<JsonFields>>().filter(|fields| !fields.is_empty());
    let mut fields =
        written.map_or_else(|| Ok(Value::Object(Default::default())), |text| serde_json::from_str(text))?;
    let map = fields.as_object_mut().ok_or_else(|| serde_json::Error::custom("fields of a span are no object"))?;
    map.insert("name".to_owned(), span.metadata().name().into());
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span, warn};
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    use super::*;

    /// A place for lines that a test can read.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody has panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// All of them, without the time, which differs.
        fn read(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().expect("nobody has panicked").clone()).expect("text");
            assert!(text.ends_with('\n'));
            let line = |line: &str| {
                let mut line: Value = serde_json::from_str(line).expect("JSON");
                let time = line.as_object_mut().and_then(|line| line.remove("timestamp")).expect("it has a time");
                assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
                line
            };
            text.lines().map(line).collect()
        }
    }

    #[test]
    fn a_line_says_what_that_of_the_library_says() {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let (to_ours, to_theirs) = (ours.clone(), theirs.clone());
        let by_ours = fmt::layer().with_writer(move || to_ours.clone());
        let by_ours = by_ours.fmt_fields(JsonFields::new()).event_format(JsonLine);
        let by_theirs = fmt::layer().with_writer(move || to_theirs.clone());
        let by_theirs = by_theirs.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(by_ours).with(by_theirs), || {
            info!(
                path = "/a\"b\u{1b}\n",
                status = 402_u16,
                share = 0.5,
                is_new = true,
                none = None::<u8>,
                "denied {}",
                1
            );
            let error = io::Error::other("no \u{e9}");
            warn!(error = &error as &dyn std::error::Error, shown = %error, debugged = ?Some(1));
            let span = info_span!("apply", event = 7, kind = tracing::field::Empty);
            span.record("kind", "paid");
            span.in_scope(|| info!("inside"));
            info_span!("bare").in_scope(|| info!("inside"));
        });
        let lines = ours.read();
        assert_eq!(lines, theirs.read());
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2]["span"], serde_json::json!({ "name": "apply", "event": 7, "kind": "paid" }));
    }
}
