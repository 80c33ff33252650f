//! The texts of the examples: a short one on each matter, with an empty line between paragraphs.

/// Each with its name.
pub(crate) const TEXTS: [(&str, &str); 12] = [
    ("storehouses", include_str!("texts/storehouses.txt")),
    ("cords", include_str!("texts/cords.txt")),
    ("caravans", include_str!("texts/caravans.txt")),
    ("roads", include_str!("texts/roads.txt")),
    ("messengers", include_str!("texts/messengers.txt")),
    ("bridges", include_str!("texts/bridges.txt")),
    ("terraces", include_str!("texts/terraces.txt")),
    ("water", include_str!("texts/water.txt")),
    ("herding", include_str!("texts/herding.txt")),
    ("cloth", include_str!("texts/cloth.txt")),
    ("crops", include_str!("texts/crops.txt")),
    ("festivals", include_str!("texts/festivals.txt")),
];
