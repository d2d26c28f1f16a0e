"""Names of countries: from the words of a usage report or a plan's page to ISO 3166-1 alpha-2.

Rules 20 (the plan's page has its own names) and 72 (fall back to "Destination Dialed").
"""

_ISO = """
AD Andorra; AE United Arab Emirates; AF Afghanistan; AG Antigua and Barbuda; AI Anguilla; AL
Albania; AM Armenia; AO Angola; AQ Antarctica; AR Argentina; AS American Samoa; AT Austria; AU
Australia; AW Aruba; AX Aland Islands; AZ Azerbaijan; BA Bosnia and Herzegovina; BB Barbados; BD
Bangladesh; BE Belgium; BF Burkina Faso; BG Bulgaria; BH Bahrain; BI Burundi; BJ Benin; BL Saint
Barthelemy; BM Bermuda; BN Brunei; BO Bolivia; BQ Bonaire, Sint Eustatius and Saba; BR Brazil; BS
Bahamas; BT Bhutan; BV Bouvet Island; BW Botswana; BY Belarus; BZ Belize; CA Canada; CC Cocos
(Keeling) Islands; CD Congo, Democratic Republic of; CF Central African Republic; CG Congo; CH
Switzerland; CI Cote d'Ivoire; CK Cook Islands; CL Chile; CM Cameroon; CN China; CO Colombia; CR
Costa Rica; CU Cuba; CV Cabo Verde; CW Curacao; CX Christmas Island; CY Cyprus; CZ Czechia; DE
Germany; DJ Djibouti; DK Denmark; DM Dominica; DO Dominican Republic; DZ Algeria; EC Ecuador; EE
Estonia; EG Egypt; EH Western Sahara; ER Eritrea; ES Spain; ET Ethiopia; FI Finland; FJ Fiji; FK
Falkland Islands; FM Micronesia; FO Faroe Islands; FR France; GA Gabon; GB United Kingdom; GD
Grenada; GE Georgia; GF French Guiana; GG Guernsey; GH Ghana; GI Gibraltar; GL Greenland; GM Gambia;
GN Guinea; GP Guadeloupe; GQ Equatorial Guinea; GR Greece; GS South Georgia and the South Sandwich
Islands; GT Guatemala; GU Guam; GW Guinea-Bissau; GY Guyana; HK Hong Kong; HM Heard Island and
McDonald Islands; HN Honduras; HR Croatia; HT Haiti; HU Hungary; ID Indonesia; IE Ireland; IL
Israel; IM Isle of Man; IN India; IO British Indian Ocean Territory; IQ Iraq; IR Iran; IS Iceland;
IT Italy; JE Jersey; JM Jamaica; JO Jordan; JP Japan; KE Kenya; KG Kyrgyzstan; KH Cambodia; KI
Kiribati; KM Comoros; KN Saint Kitts and Nevis; KP North Korea; KR South Korea; KW Kuwait; KY Cayman
Islands; KZ Kazakhstan; LA Laos; LB Lebanon; LC Saint Lucia; LI Liechtenstein; LK Sri Lanka; LR
Liberia; LS Lesotho; LT Lithuania; LU Luxembourg; LV Latvia; LY Libya; MA Morocco; MC Monaco; MD
Moldova; ME Montenegro; MF Saint Martin; MG Madagascar; MH Marshall Islands; MK North Macedonia; ML
Mali; MM Myanmar; MN Mongolia; MO Macao; MP Northern Mariana Islands; MQ Martinique; MR Mauritania;
MS Montserrat; MT Malta; MU Mauritius; MV Maldives; MW Malawi; MX Mexico; MY Malaysia; MZ
Mozambique; NA Namibia; NC New Caledonia; NE Niger; NF Norfolk Island; NG Nigeria; NI Nicaragua; NL
Netherlands; NO Norway; NP Nepal; NR Nauru; NU Niue; NZ New Zealand; OM Oman; PA Panama; PE Peru; PF
French Polynesia; PG Papua New Guinea; PH Philippines; PK Pakistan; PL Poland; PM Saint Pierre and
Miquelon; PN Pitcairn; PR Puerto Rico; PS Palestine; PT Portugal; PW Palau; PY Paraguay; QA Qatar;
RE Reunion; RO Romania; RS Serbia; RU Russia; RW Rwanda; SA Saudi Arabia; SB Solomon Islands; SC
Seychelles; SD Sudan; SE Sweden; SG Singapore; SH Saint Helena; SI Slovenia; SJ Svalbard and Jan
Mayen; SK Slovakia; SL Sierra Leone; SM San Marino; SN Senegal; SO Somalia; SR Suriname; SS South
Sudan; ST Sao Tome and Principe; SV El Salvador; SX Sint Maarten; SY Syria; SZ Eswatini; TC Turks
and Caicos Islands; TD Chad; TF French Southern Territories; TG Togo; TH Thailand; TJ Tajikistan; TK
Tokelau; TL Timor-Leste; TM Turkmenistan; TN Tunisia; TO Tonga; TR Turkey; TT Trinidad and Tobago;
TV Tuvalu; TW Taiwan; TZ Tanzania; UA Ukraine; UG Uganda; UM United States Minor Outlying Islands;
US United States; UY Uruguay; UZ Uzbekistan; VA Vatican City; VC Saint Vincent and the Grenadines;
VE Venezuela; VG British Virgin Islands; VI U.S. Virgin Islands; VN Vietnam; VU Vanuatu; WF Wallis
and Futuna; WS Samoa; YE Yemen; YT Mayotte; ZA South Africa; ZM Zambia; ZW Zimbabwe
"""

#: Names that reports and pages use beside the ISO short name.
_OTHER_NAMES = """
AN Netherlands Antilles; BN Bunei Darussalam; BN Brunei Darussalam; CD Congo, Democratic Republic of;
CD Democratic Republic of the Congo; CG Congo, People's Republic of; CG Congo, Republic of; CV Cape Verde;
CZ Czech Republic; FM Micronesia, Federated States of; GB United Kingdom (U.K.); GB Great Britain; GB UK;
HK Hong Kong SAR; KR Korea, Republic of; KR Korea; LA Lao; LA Lao People's Democratic Republic; MO Macau;
MO Macau SAR; MD Moldova, Republic of; MK Macedonia; MM Burma; PM St. Pierre and Miquelon;
PS Palestinian Authority; PS Palestinian Territory; RU Russian Federation; SY Syrian Arab Republic;
SZ Swaziland; TC Turks and Caicos; TL East Timor; TR Turkiye; TZ Tanzania, United Republic of;
US United States (U.S.); US USA; US United States of America; AE United Arab Emirates (U.A.E); AE UAE;
VA Vatican City State; VA Holy See; VG Virgin Islands (British); VI Virgin Islands (U.S.); VN Viet Nam; XK Kosovo;
WF Wallis and Futuna Islands; KN St. Kitts and Nevis; LC St. Lucia; VC St. Vincent and the Grenadines
"""


def _pairs(table: str) -> list[tuple[str, str]]:
    return [(entry[:2], entry[3:]) for entry in " ".join(table.split()).split("; ")]


#: With Kosovo's user-assigned code, which price lists use.
ISO_COUNTRIES = frozenset(code for code, _ in _pairs(_ISO)) | {"XK"}
_NAMES = dict(_pairs(_ISO))
COUNTRY_NAMES = {name.casefold(): code for code, name in _pairs(_OTHER_NAMES) + _pairs(_ISO)}


def country_of_name(name: str) -> str | None:
    """The country that a destination's name means: "France - Mobile" is FR; None when it means none."""
    wanted = " ".join(name.split()).casefold()
    for separator in ("", " - ", "-", " (", ",", " mobile"):
        found = COUNTRY_NAMES.get(wanted.partition(separator)[0].strip() if separator else wanted)
        if found is not None:
            return found
    return None


def meant_country(code: str) -> str:
    """A question for who wrote this instead of a code, such as "; did you mean GB?" for UK; empty if unclear."""
    meant = code.upper() if code.upper() in ISO_COUNTRIES else country_of_name(code)
    return f"; did you mean {meant}?" if meant else ""


def country_name(code: str) -> str:
    """The name of a country for people; the code itself when it is not one."""
    return _NAMES.get(code, code)
