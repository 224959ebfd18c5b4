//! Names of people and countries. The front of each list occurs most, as in a real table.

/// First names.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const FIRST_NAMES: &[&str] = &[
    "Aaron", "Adele", "Amir", "Anna", "Ansel", "Bea", "Boris", "Carla", "Chen", "Dana", "Aisha", "Elias", "Emma", "Felix", "Fiona", "Gita", "Goran", "Hana", "Hugo", "Ines",
    "Ivan", "Jana", "Jonas", "Julia", "Kamal", "Karin", "Lars", "Leila", "Lena", "Liam", "Lucia", "Luka", "Mara", "Marco", "Maya", "Milan", "Mina", "Nadia", "Nico", "Nina",
    "Noah", "Nora", "Olga", "Omar", "Oscar", "Paula", "Pedro", "Petra", "Priya", "Quentin", "Rafael", "Rania", "Rosa", "Ruben", "Samir", "Sara", "Selma", "Simon", "Sofia", "Stefan",
    "Tamara", "Teo", "Thea", "Tomas", "Uma", "Vera", "Victor", "Wanda", "Yara", "Yusuf", "Zara", "Zeno", "Agnes", "Albert", "Bruno", "Cecilia", "Damian", "Edith", "Flora", "Gabriel",
    "Harriet", "Ignatius", "Josephine", "Konstantin", "Leopold", "Magdalena", "Nathaniel", "Ottilie", "Philippa", "Rosalind",
];

/// Last names.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const LAST_NAMES: &[&str] = &[
    "Abel", "Adler", "Almeida", "Andersson", "Aziz", "Bach", "Barros", "Becker", "Bianchi", "Blake", "Bosch", "Brandt", "Caruso", "Castro", "Cho", "Clarke", "Conti", "Costa",
    "Dahl", "Dietrich", "Dubois", "Eriksen", "Evans", "Falk", "Farah", "Fischer", "Fonseca", "Forster", "Gallo", "Garnier", "Gomes", "Gupta", "Haas", "Hansen", "Harper",
    "Hoffmann", "Holm", "Ibrahim", "Ito", "Ivanov", "Jansen", "Jensen", "Kaya", "Keller", "Khan", "Kim", "Klein", "Kovac", "Kumar", "Lambert", "Larsen", "Lima", "Lindgren",
    "Lopez", "Maas", "Mancini", "Marin", "Mendes", "Meyer", "Moreau", "Mori", "Nagy", "Nguyen", "Novak", "Okafor", "Olsen", "Ortega", "Park", "Patel", "Petrov", "Popescu",
    "Quinn", "Ramos", "Reyes", "Ricci", "Rossi", "Roth", "Sato", "Schmidt", "Schubert", "Silva", "Singh", "Sorensen", "Stein", "Svensson", "Tanaka", "Torres", "Ueda", "Vargas",
    "Vidal", "Vogel", "Wagner", "Weber", "Whitfield", "Wolff", "Yamada", "Yilmaz", "Zhang", "Ziegler", "Zimmermann", "O'Brien", "D'Angelo", "van der Berg", "Montgomery-Hale",
    "Christodoulou",
];

/// Countries as the place of a post.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const COUNTRIES: &[&str] = &[
    "Albania", "Algeria", "Afghanistan", "Aruba", "American Samoa", "Andorra", "Argentina", "Bangladesh", "Azerbaijan", "Belgium", "Armenia", "Austria", "Bahamas", "Anguilla",
    "Antarctica (the territory South of 60 deg S)", "Barbados", "Angola", "Bouvet Island (Bouvetoya)", "Cambodia", "Bermuda", "Colombia", "Croatia", "Cote d'Ivoire", "Bulgaria",
    "Ecuador", "Australia", "Benin", "Bolivia", "Cocos (Keeling) Islands", "Botswana", "Brazil", "British Indian Ocean Territory (Chagos Archipelago)", "Burundi", "Cameroon",
    "Canada", "Chad", "Chile", "China", "Costa Rica", "Cuba", "Cyprus", "Czech Republic", "Denmark", "Dominica", "Egypt", "Estonia", "Ethiopia", "Fiji", "Finland", "France",
    "Gabon", "Georgia", "Germany", "Ghana", "Greece", "Greenland", "Guatemala", "Guinea-Bissau", "Haiti", "Holy See (Vatican City State)", "Honduras", "Hungary", "Iceland", "India",
    "Indonesia", "Ireland", "Israel", "Italy", "Jamaica", "Japan", "Jordan", "Kenya", "Korea", "Kuwait", "Lao People's Democratic Republic", "Latvia", "Lebanon", "Liberia", "Lithuania",
    "Luxembourg", "Madagascar", "Malaysia", "Mali", "Malta", "Mexico", "Monaco", "Mongolia", "Morocco", "Nepal", "Netherlands", "New Zealand", "Nigeria", "Norway", "Oman", "Pakistan",
    "Panama", "Peru", "Philippines", "Poland", "Portugal", "Qatar", "Romania", "Rwanda", "Senegal", "Serbia", "Singapore", "Slovenia", "South Africa", "Spain", "Sri Lanka", "Sweden",
    "Switzerland", "Thailand", "Togo", "Tunisia", "Turkey", "Uganda", "Ukraine", "United Kingdom", "United States of America", "Uruguay", "Vanuatu", "Vietnam", "Yemen", "Zambia", "Zimbabwe",
];
