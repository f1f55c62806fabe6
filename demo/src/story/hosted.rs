//! Reading the simulated provider's pages: which form does what.
//!
//! They are our own pages, so looking for what our templates write is enough.

/// A form as a browser would send it after a click.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// Where to.
    pub target: String,
    pub fields: Vec<(String, String)>,
}

/// The first form of `page` with a button whose `action` is this.
pub fn form(page: &str, action: &str) -> Option<Form> {
    let forms = page.split("<form ").skip(1).filter_map(|rest| rest.split("</form>").next());
    let button = format!("name=\"action\" value=\"{action}\"");
    let form = forms.into_iter().find(|form| form.contains(&button))?;
    let target = attribute(form, "action")?;
    let hidden = form.split("<input type=\"hidden\" ").skip(1);
    let mut fields: Vec<(String, String)> =
        hidden.filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?))).collect();
    fields.push(("action".to_owned(), action.to_owned()));
    Some(Form { target, fields })
}

/// The first value of an attribute; ids and paths need no unescaping.
fn attribute(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_with_the_button_is_found_with_its_hidden_fields() {
        let page = r#"<form method="post" action="/a"><button name="action" value="pay">Pay</button></form>
            <form method="post" action="/b"><input type="hidden" name="subscription" value="sub_1">
            <button name="action" value="cancel">Cancel</button></form>"#;
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(form(page, "pay"), Some(Form { target: "/a".into(), fields: vec![field("action", "pay")] }));
        let fields = vec![field("subscription", "sub_1"), field("action", "cancel")];
        assert_eq!(form(page, "cancel"), Some(Form { target: "/b".into(), fields }));
        assert_eq!(form(page, "refund"), None);
    }
}
