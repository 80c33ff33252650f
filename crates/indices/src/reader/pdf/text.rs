//! The text of a page, by the operators of section 9.4 of ISO 32000-1.

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

use super::font::{Font, MAX_UNPACKED};
use crate::ModelError;

/// The text of a page, in the order in which it is drawn.
pub(super) fn of_page(document: &Document, page: ObjectId) -> Result<String, ModelError> {
    let (direct, referenced) = document.get_page_resources(page)?;
    let referenced = referenced.into_iter().filter_map(|id| document.get_dictionary(id).ok());
    let resources: Vec<&Dictionary> = direct.into_iter().chain(referenced).collect();
    let content = document.get_page_content_with_limit(page, MAX_UNPACKED)?;
    let mut drawn = Drawn {
        document,
        fonts: HashMap::new(),
        text: String::new(),
        end: None,
        forms: HashMap::new(),
        drawn: 0,
        drawing: Drawing::default(),
    };
    for operation in Content::decode_iter(&content) {
        drawn.operate(&operation?, &resources, 0)?;
    }
    Ok(drawn.text)
}

/// Pictures within pictures go no deeper, so that one that has itself in it ends.
const MAX_DEPTH: usize = 16;

/// The pictures of a page draw no more than this: those that are drawn in each other many times may draw for ever.
const MAX_DRAWN: usize = 1_000_000;

/// No page that is meant to be read keeps more states.
const MAX_KEPT: usize = 1 << 12;

/// What is drawn further away from what was drawn before, in parts of its size, is another word.
const WORD_GAP: f32 = 0.17;

/// What is drawn higher or lower than this, in parts of its size, is another line.
const LINE_GAP: f32 = 0.5;

type Matrix = [f32; 6];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// What `a` does, and then `b`.
fn then(a: &Matrix, b: &Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

/// What `q` keeps and `Q` brings back.
#[derive(Clone)]
struct State<'a> {
    to_page: Matrix,
    font: Option<Rc<Font<'a>>>,
    size: f32,
    char_spacing: f32,
    word_spacing: f32,
    scaling: f32,
    leading: f32,
}

struct Drawing<'a> {
    state: State<'a>,
    kept: Vec<State<'a>>,
    text: Matrix,
    line: Matrix,
}

impl Default for Drawing<'_> {
    fn default() -> Self {
        let state = State {
            to_page: IDENTITY,
            font: None,
            size: 0.0,
            char_spacing: 0.0,
            word_spacing: 0.0,
            scaling: 1.0,
            leading: 0.0,
        };
        Self { state, kept: Vec::new(), text: IDENTITY, line: IDENTITY }
    }
}

impl Drawing<'_> {
    fn next_line(&mut self, x: f32, y: f32) {
        self.line = then(&[1.0, 0.0, 0.0, 1.0, x, y], &self.line);
        self.text = self.line;
    }

    fn advance(&mut self, by: f32) {
        self.text = then(&[1.0, 0.0, 0.0, 1.0, by, 0.0], &self.text);
    }
}

struct Drawn<'a> {
    document: &'a Document,
    fonts: HashMap<*const Dictionary, Rc<Font<'a>>>,
    text: String,
    /// Where the last text ended on the page, and its size there.
    end: Option<(f32, f32, f32)>,
    forms: HashMap<*const Stream, Rc<[Operation]>>,
    /// How much its pictures have drawn.
    drawn: usize,
    drawing: Drawing<'a>,
}

impl<'a> Drawn<'a> {
    fn operate(&mut self, operation: &Operation, resources: &[&'a Dictionary], depth: usize) -> Result<(), ModelError> {
        let operands = operation.operands.as_slice();
        let number = |at: usize| operands.get(at).and_then(|operand| operand.as_float().ok()).unwrap_or(0.0);
        let matrix = || std::array::from_fn(number);
        let drawing = &mut self.drawing;
        let state = &mut drawing.state;
        match operation.operator.as_str() {
            "q" if drawing.kept.len() < MAX_KEPT => drawing.kept.push(state.clone()),
            "Q" => drawing.state = drawing.kept.pop().unwrap_or_else(|| state.clone()),
            "cm" => state.to_page = then(&matrix(), &state.to_page),
            "BT" => (drawing.text, drawing.line) = (IDENTITY, IDENTITY),
            "Tc" => state.char_spacing = number(0),
            "Tw" => state.word_spacing = number(0),
            "Tz" => state.scaling = number(0) / 100.0,
            "TL" => state.leading = number(0),
            "Tf" => {
                state.size = number(1);
                let name = operands.first().and_then(|name| name.as_name().ok()).unwrap_or_default();
                let font = self.resource(resources, b"Font", name).and_then(|font| font.as_dict().ok());
                self.drawing.state.font = font.map(|font| self.font(font));
            }
            "Td" => drawing.next_line(number(0), number(1)),
            "TD" => {
                state.leading = -number(1);
                drawing.next_line(number(0), number(1));
            }
            "Tm" => (drawing.text, drawing.line) = (matrix(), matrix()),
            "T*" => self.feed(),
            "Tj" => self.show(operands.first()),
            "'" => {
                self.feed();
                self.show(operands.first());
            }
            "\"" => {
                (state.word_spacing, state.char_spacing) = (number(0), number(1));
                self.feed();
                self.show(operands.get(2));
            }
            "TJ" => {
                for part in operands.first().and_then(|parts| parts.as_array().ok()).into_iter().flatten() {
                    match part.as_float() {
                        Ok(back) => {
                            let State { size, scaling, .. } = self.drawing.state;
                            self.drawing.advance(-back / 1000.0 * size * scaling);
                        }
                        Err(_) => self.show(Some(part)),
                    }
                }
            }
            "Do" if depth < MAX_DEPTH => {
                let name = operands.first().and_then(|name| name.as_name().ok()).unwrap_or_default();
                self.draw_form(name, resources, depth)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Draws what has a name, if it is drawn by operators and no picture.
    fn draw_form(&mut self, name: &[u8], resources: &[&'a Dictionary], depth: usize) -> Result<(), ModelError> {
        let form = self.resource(resources, b"XObject", name).and_then(|form| form.as_stream().ok());
        let is_form =
            |dict: &Dictionary| dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|kind| kind == b"Form");
        let Some(form) = form.filter(|form| is_form(&form.dict)) else { return Ok(()) };
        let operations = self.operations(form)?;
        self.drawn += 1 + operations.len();
        if self.drawn > MAX_DRAWN || self.text.len() > MAX_UNPACKED {
            return Err("the pictures of a page draw more than any page shows".into());
        }
        let own = form.dict.get_deref(b"Resources", self.document).and_then(Object::as_dict).ok();
        let matrix = form.dict.get_deref(b"Matrix", self.document).and_then(Object::as_array).ok();
        let outside = std::mem::take(&mut self.drawing);
        self.drawing.state = outside.state.clone();
        if let Some(matrix) = matrix {
            let number = |at: usize| matrix.get(at).and_then(|number| number.as_float().ok()).unwrap_or(0.0);
            self.drawing.state.to_page = then(&std::array::from_fn(number), &outside.state.to_page);
        }
        let own = own.map(|own| vec![own]);
        let resources = own.as_deref().unwrap_or(resources);
        for operation in &*operations {
            self.operate(operation, resources, depth + 1)?;
        }
        self.drawing = outside;
        Ok(())
    }

    /// What draws a form. It is read once for each page.
    fn operations(&mut self, form: &'a Stream) -> Result<Rc<[Operation]>, ModelError> {
        if let Some(known) = self.forms.get(&std::ptr::from_ref(form)) {
            return Ok(Rc::clone(known));
        }
        let content = form.get_plain_content_with_limit(MAX_UNPACKED)?;
        let operations: Rc<[Operation]> = Content::decode(&content)?.operations.into();
        self.forms.insert(form, Rc::clone(&operations));
        Ok(operations)
    }

    /// What the nearest resources of a kind have under a name.
    fn resource(&self, resources: &[&'a Dictionary], kind: &[u8], name: &[u8]) -> Option<&'a Object> {
        resources.iter().find_map(|resources| {
            let of_kind = resources.get_deref(kind, self.document).and_then(Object::as_dict).ok()?;
            of_kind.get_deref(name, self.document).ok()
        })
    }

    fn font(&mut self, font: &'a Dictionary) -> Rc<Font<'a>> {
        Rc::clone(self.fonts.entry(font).or_insert_with(|| Rc::new(Font::new(self.document, font))))
    }

    fn feed(&mut self) {
        self.drawing.next_line(0.0, -self.drawing.state.leading);
    }

    /// Shows a text where the last one has ended, or where it is said.
    fn show(&mut self, text: Option<&Object>) {
        let Some(bytes) = text.and_then(|text| text.as_str().ok()) else { return };
        let State { font, size, char_spacing, word_spacing, scaling, .. } = self.drawing.state.clone();
        let Some(font) = font else { return };
        let text = font.text(bytes);
        let start = then(&self.drawing.text, &self.drawing.state.to_page);
        let height = (size * start[2].hypot(start[3])).abs();
        self.separate(&text, start[4], start[5], height);
        self.text.push_str(&text);
        let width = font.widths(bytes).map(|(width, is_space)| {
            (width * size + char_spacing + if is_space { word_spacing } else { 0.0 }) * scaling
        });
        self.drawing.advance(width.sum());
        let end = then(&self.drawing.text, &self.drawing.state.to_page);
        self.end = Some((end[4], end[5], height));
    }

    /// Puts a line's end or a space before a text, if it is drawn apart from the last one.
    fn separate(&mut self, text: &str, x: f32, y: f32, height: f32) {
        let Some((last_x, last_y, last_height)) = self.end else { return };
        if (y - last_y).abs() > LINE_GAP * height.min(last_height) {
            self.text.push('\n');
        } else if (x - last_x > WORD_GAP * height || last_x - x > height)
            && !self.text.ends_with(char::is_whitespace)
            && !text.starts_with(char::is_whitespace)
        {
            self.text.push(' ');
        }
    }
}
