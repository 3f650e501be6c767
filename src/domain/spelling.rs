//! Characters that show nothing, and the form in which texts are compared.
//!
//! Two texts that nobody can tell apart by looking must not be two names or two addresses. People
//! type no invisible characters: they come with a copy from a page or a chat, or from somebody who
//! wants to be taken for somebody else. What admins and scripts send is refused; what billing
//! providers send is kept as it is and compared without them.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeEmoji, UnicodeGeneralCategory};

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const BLACK_FLAG: char = '\u{1f3f4}';
const KEYCAP: char = '\u{20e3}';

/// Folds a text to the form in which texts are compared: without invisible characters, NFC, lower
/// case.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let visible = text.chars().filter(|it| !is_invisible(*it));
    // The lower case of a composed character can be one that is not.
    let lower = visible.nfc().collect::<String>().to_lowercase();
    lower.nfc().collect()
}

/// Reports whether a character shows nothing and is no blank: those of category Cf, those that are
/// ignored where nothing draws them, and separators of lines.
pub fn is_invisible(character: char) -> bool {
    let category = character.general_category();
    matches!(
        category,
        GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || is_ignored(character)
}

/// Reports whether a character has the property `Default_Ignorable_Code_Point` without being of
/// category Cf, or is drawn as a blank although it counts as a letter or a symbol.
/// <https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt>
fn is_ignored(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' // combining grapheme joiner
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
            | '\u{17b4}' | '\u{17b5}' // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}' // Mongolian variation selectors
            | '\u{2065}' | '\u{fff0}'..='\u{fff8}' // set apart for more of the kind
            | '\u{2800}' // Braille pattern blank
            | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}' // variation selectors, tags
    )
}

/// Returns the first invisible character of a text.
pub fn invisible(text: &str) -> Option<char> {
    text.chars().find(|it| is_invisible(*it))
}

/// Returns the first invisible character of a name that its script does not need.
///
/// Real names need some: joiners in Persian, Arabic and the scripts of India, variation selectors
/// behind ideographs and Mongolian letters, and what emoji are put together with.
pub fn invisible_in_name(name: &str) -> Option<char> {
    let mut before = None;
    let mut is_flag = false;
    let mut rest = name.chars().peekable();
    while let Some(character) = rest.next() {
        is_flag = character == BLACK_FLAG || is_flag && is_tag(character);
        let after = rest.peek().copied();
        if is_invisible(character) && !is_flag && !is_needed(before, character, after) {
            return Some(character);
        }
        before = Some(character);
    }
    None
}

fn is_tag(character: char) -> bool {
    matches!(character, '\u{e0020}'..='\u{e007f}')
}

fn is_needed(before: Option<char>, character: char, after: Option<char>) -> bool {
    let Some(before) = before else {
        return false;
    };
    match character {
        JOINER if is_emoji(before) || before == '\u{fe0f}' => after.is_some_and(is_emoji),
        JOINER | NON_JOINER => is_joining(before),
        '\u{fe0e}' | '\u{fe0f}' if before.is_ascii() => after == Some(KEYCAP),
        '\u{fe00}'..='\u{fe0f}' if is_emoji(before) => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => is_ideograph(before),
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1820}'..='\u{18aa}'),
        _ => false,
    }
}

fn is_emoji(character: char) -> bool {
    !character.is_ascii()
        && !is_invisible(character)
        && character.is_emoji_char_or_emoji_component()
}

fn is_ideograph(character: char) -> bool {
    matches!(
        character,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// Reports whether a character belongs to a script whose letters join, or has signs that kill a
/// vowel: from Arabic to Mongolian, and the historic ones of India.
fn is_joining(character: char) -> bool {
    let is_of_script = matches!(
        character,
        '\u{600}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1700}'..='\u{1cff}'
            | '\u{a800}'..='\u{abff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
            | '\u{10a00}'..='\u{10fff}' | '\u{11000}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}'
    );
    is_of_script && !is_invisible(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_for_what_shows_nothing() {
        let cases = [
            ("Ada\u{200b} Lace", Some('\u{200b}')),
            ("\u{feff}Ada", Some('\u{feff}')),
            ("Ada\u{ad}", Some('\u{ad}')),
            ("Ada\u{202e}ecaL", Some('\u{202e}')),
            ("\u{2066}Ada\u{2069}", Some('\u{2066}')),
            ("Ada\u{2060}", Some('\u{2060}')),
            ("Ada\u{200d}Lace", Some('\u{200d}')),
            ("Ada\u{200c}", Some('\u{200c}')),
            ("\u{200c}می", Some('\u{200c}')),
            ("می\u{200c}\u{200c}خواهم", Some('\u{200c}')),
            ("\u{115f}", Some('\u{115f}')),
            ("\u{3164}", Some('\u{3164}')),
            ("\u{ffa0}", Some('\u{ffa0}')),
            ("\u{2800}", Some('\u{2800}')),
            ("Ada\u{34f}", Some('\u{34f}')),
            ("Ada\u{2028}Lace", Some('\u{2028}')),
            ("Ada\u{fe0f}", Some('\u{fe0f}')),
            ("Unit 1\u{fe0f}", Some('\u{fe0f}')),
            ("Ada\u{e0041}", Some('\u{e0041}')),
            ("Ada\u{e0101}", Some('\u{e0101}')),
            ("❤\u{200d}", Some('\u{200d}')),
            ("Ada\u{180b}", Some('\u{180b}')),
        ];
        for (name, expected) in cases {
            assert_eq!(invisible_in_name(name), expected, "{name:?}");
        }
    }

    #[test]
    fn real_names_keep_the_characters_that_they_need() {
        let names = [
            "Ada Lace",
            "José",
            "Jose\u{301}",
            "فاطمه\u{200c}زهرا",
            "നാരായണന\u{d4d}\u{200d}",
            "श\u{94d}\u{200d}री",
            "ක\u{dca}\u{200d}රි",
            "渡\u{e0100}辺",
            "ᠮᠣᠩᠭᠣᠯ\u{180e}ᠠ",
            "❤\u{fe0f}\u{200d}🔥 GmbH",
            "👩🏽\u{200d}🔬",
            "👨\u{200d}👩\u{200d}👧",
            "Route 6\u{fe0f}\u{20e3}6\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} Pub",
            "東京 株式会社",
        ];
        for name in names {
            assert_eq!(invisible_in_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn texts_are_folded_once() {
        for character in '\u{0}'..=char::MAX {
            let text = format!("a{character}\u{301}b");
            let folded = fold(&text);
            assert_eq!(fold(&folded), folded, "{text:?}");
        }
        assert_eq!(fold("JOSE\u{301}\u{200b}"), "josé");
    }
}
