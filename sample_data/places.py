"""Cities, states and ZIP codes that belong together.

A city with more ZIP codes here is drawn more often. Every state and territory has at least one city.
"""

from __future__ import annotations

from typing import NamedTuple


class EnvironmentArns(NamedTuple):
    """One ZIP code of a city."""

    city: str
    state: str
    zip: str


_CITIES = """
AK Anchorage 99501 99508|AK Fairbanks 99701
AL Birmingham 35203 35233 35205|AL Mobile 36602 36604|AL Huntsville 35801
AR Little Rock 72201 72205|AR Fayetteville 72701
AS Pago Pago 96799
AZ Phoenix 85003 85006 85016|AZ Tucson 85701 85719|AZ Mesa 85201
CA Los Angeles 90012 90033 90048|CA San Diego 92101 92103|CA San Francisco 94103 94110|CA Sacramento 95814 95817
CA Fresno 93701 93721|CA Oakland 94609|CA San Jose 95112 95128
CO Denver 80202 80204|CO Aurora 80012|CO Colorado Springs 80903
CT Hartford 06103 06106|CT New Haven 06510 06519|CT Bridgeport 06604
DC Washington 20001 20010 20037
DE Wilmington 19801|DE Dover 19901
FL Miami 33125 33136|FL Orlando 32801 32806|FL Tampa 33602 33606|FL Jacksonville 32202 32207
GA Atlanta 30303 30308|GA Augusta 30901|GA Savannah 31401
GU Hagåtña 96910|GU Tamuning 96913
HI Honolulu 96813 96817|HI Hilo 96720
IA Des Moines 50309 50314|IA Iowa City 52240 52242
ID Boise 83702|ID Idaho Falls 83402
IL Chicago 60611 60612 60637|IL Springfield 62701 62702|IL Peoria 61602
IN Indianapolis 46202 46204|IN Fort Wayne 46802|IN South Bend 46601
KS Wichita 67202 67214|KS Topeka 66603|KS Kansas City 66101
KY Louisville 40202|KY Lexington 40507 40508
LA New Orleans 70112 70115|LA Baton Rouge 70801 70808|LA Shreveport 71101
MA Boston 02114 02115 02118|MA Worcester 01605 01608|MA Springfield 01103
MD Baltimore 21201 21205 21287|MD Rockville 20850
ME Portland 04101 04102|ME Bangor 04401
MI Detroit 48201 48202 48226|MI Grand Rapids 49503|MI Ann Arbor 48104 48109|MI Lansing 48912
MN Minneapolis 55404 55415|MN Saint Paul 55101|MN Rochester 55902 55905
MO St. Louis 63103 63110|MO Kansas City 64108 64111|MO Columbia 65201
MP Saipan 96950
MS Jackson 39201 39216|MS Biloxi 39530
MT Billings 59101|MT Missoula 59802
NC Charlotte 28202 28203|NC Raleigh 27601|NC Durham 27701 27710|NC Winston-Salem 27101
ND Fargo 58102 58103|ND Bismarck 58501
NE Omaha 68102 68131|NE Lincoln 68508
NH Manchester 03101 03103|NH Concord 03301
NJ Newark 07102 07103|NJ Trenton 08608|NJ Camden 08103
NM Albuquerque 87102 87106|NM Santa Fe 87501
NV Las Vegas 89101 89102|NV Reno 89501 89502
NY New York 10016 10029 10032 10065|NY Brooklyn 11201 11203|NY Buffalo 14203|NY Rochester 14604 14642
NY Albany 12207 12208
OH Columbus 43210 43215|OH Cleveland 44106 44195|OH Cincinnati 45219 45229|OH Toledo 43604
OK Oklahoma City 73102 73104|OK Tulsa 74103 74104
OR Portland 97201 97209 97239|OR Salem 97301|OR Eugene 97401
PA Philadelphia 19104 19107 19140|PA Pittsburgh 15213 15219|PA Harrisburg 17101
PR San Juan 00901 00907 00921|PR Ponce 00716 00717|PR Mayagüez 00680 00682
RI Providence 02903 02905
SC Charleston 29401 29403|SC Columbia 29201 29203|SC Greenville 29601 29605
SD Sioux Falls 57104 57105|SD Rapid City 57701
TN Nashville 37203 37232|TN Memphis 38103 38104|TN Knoxville 37902
TX Houston 77002 77030|TX Dallas 75201 75235|TX Austin 78701 78705|TX San Antonio 78205 78229|TX El Paso 79901 79902
UT Salt Lake City 84101 84132|UT Provo 84601
VA Richmond 23219 23298|VA Norfolk 23507 23510|VA Charlottesville 22903 22908
VI Charlotte Amalie 00802|VI Christiansted 00820
VT Burlington 05401|VT Rutland 05701
WA Seattle 98101 98104 98195|WA Spokane 99201 99204|WA Tacoma 98402 98405
WI Milwaukee 53202 53226|WI Madison 53703 53792|WI Green Bay 54301
WV Charleston 25301|WV Morgantown 26505
WY Cheyenne 82001|WY Casper 82601
"""


def _read(cities: str) -> tuple[EnvironmentArns, ...]:
    places = []
    for entry in cities.strip().replace("\n", "|").split("|"):
        state, *words = entry.split()
        city = " ".join(word for word in words if not word.isdigit())
        places += [EnvironmentArns(city, state, word) for word in words if word.isdigit()]
    return tuple(places)


PLACES = _read(_CITIES)
