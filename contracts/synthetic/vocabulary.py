"""Words that synthetic people and places are made of. All combinations are invented; nobody here exists.

Owns: names with their readings, rare characters among them (髙, 﨑, 德 ... of the vendor rows of CP932), foreign names, buildings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    words = (entry.split("/") for entry in text.split())
    return tuple((kanji, reading) for kanji, reading in words)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SURNAMES: Final = _pairs("""
    佐藤/サトウ 鈴木/スズキ 高橋/タカハシ 田中/タナカ 渡辺/ワタナベ 伊藤/イトウ 山本/ヤマモト 中村/ナカムラ 小林/コバヤシ
    加藤/カトウ 吉田/ヨシダ 山田/ヤマダ 佐々木/ササキ 山口/ヤマグチ 松本/マツモト 井上/イノウエ 木村/キムラ 林/ハヤシ 清水/シミズ
    山崎/ヤマザキ 森/モリ 池田/イケダ 橋本/ハシモト 阿部/アベ 石川/イシカワ 山下/ヤマシタ 中島/ナカジマ 石井/イシイ 小川/オガワ
    前田/マエダ 岡田/オカダ 長谷川/ハセガワ 藤田/フジタ 後藤/ゴトウ 近藤/コンドウ 村上/ムラカミ 遠藤/エンドウ 青木/アオキ
    坂本/サカモト 斉藤/サイトウ 福田/フクダ 太田/オオタ 西村/ニシムラ 藤井/フジイ 金子/カネコ 岡本/オカモト 藤原/フジワラ
    三浦/ミウラ 中野/ナカノ 原田/ハラダ 松田/マツダ 竹内/タケウチ 小野/オノ 三宅/ミヤケ 難波/ナンバ 妹尾/セノオ 香川/カガワ
    大西/オオニシ 多田/タダ 越智/オチ 河野/コウノ 白石/シライシ 宇都宮/ウツノミヤ 二宮/ニノミヤ 矢野/ヤノ 真鍋/マナベ
    大森/オオモリ 谷/タニ 東/アズマ 一色/イッシキ 五十嵐/イガラシ 勅使河原/テシガワラ
""")
RARE_SURNAMES: Final = _pairs("""
    髙橋/タカハシ 髙木/タカギ 山﨑/ヤマサキ 宮﨑/ミヤザキ 德田/トクダ 濵田/ハマダ 濵﨑/ハマサキ 草彅/クサナギ 橫山/ヨコヤマ
    栁田/ヤナギダ 瀨戸/セト 桒原/クワバラ 嵓井/イワイ 寬永/ヒロナガ 橫溝/ヨコミゾ 頼富/ヨリトミ 齋藤/サイトウ 渡邊/ワタナベ 渡邉/ワタナベ
""")
GIVEN_MALE: Final = _pairs("""
    翔太/ショウタ 拓也/タクヤ 健太/ケンタ 大輔/ダイスケ 誠/マコト 直樹/ナオキ 哲也/テツヤ 隆/タカシ 茂/シゲル 清/キヨシ 一郎/イチロウ
    和夫/カズオ 蓮/レン 湊/ミナト 悠真/ユウマ 陽翔/ハルト 大和/ヤマト 樹/イツキ 颯太/ソウタ 正男/マサオ 勝/マサル 博/ヒロシ 修/オサム
    進/ススム 亮/リョウ 剛/ツヨシ 学/マナブ 正/タダシ 実/ミノル 昭/アキラ 弘/ヒロム 貴志/タカシ 浩二/コウジ 龍之介/リュウノスケ
    正德/マサノリ 與一郞/ヨイチロウ
""")
GIVEN_FEMALE: Final = _pairs("""
    美咲/ミサキ 愛/アイ 陽菜/ヒナ 結衣/ユイ 由美/ユミ 恵子/ケイコ 和子/カズコ 洋子/ヨウコ 幸子/サチコ 久美子/クミコ 真由美/マユミ
    智子/トモコ 裕子/ユウコ 純子/ジュンコ 明美/アケミ 葵/アオイ 凛/リン 紬/ツムギ 芽依/メイ 莉子/リコ 節子/セツコ 千代子/チヨコ
    文子/フミコ 良子/ヨシコ 彩/アヤ 舞/マイ 優子/ユウコ 香織/カオリ 麻美/アサミ 絵里/エリ 沙織/サオリ さくら/サクラ ハナ/ハナ キヨ/キヨ
    淸子/キヨコ 靜/シズカ
""")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where foreign residents come from: a nationality code and (full-width Latin, katakana) names."""

    code: str
    families: tuple[tuple[str, str], ...]
    given: tuple[tuple[str, str], ...]


def _wide(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(("".join(chr(ord(letter) + 0xFEE0) for letter in latin), kana) for latin, kana in _pairs(text))


ORIGINS: Final = (
    Origin("VNM", _wide("NGUYEN/グエン TRAN/チャン LE/レ PHAM/ファム"), _wide("VAN/ヴァン THI/ティ ANH/アイン MINH/ミン")),
    Origin("CHN", _wide("WANG/ワン LI/リー ZHANG/ジャン CHEN/チェン"), _wide("WEI/ウェイ FANG/ファン LEI/レイ XIN/シン")),
    Origin("KOR", _wide("KIM/キム LEE/イ PARK/パク CHOI/チェ"), _wide("MINJUN/ミンジュン SEOYEON/ソヨン JIWOO/ジウ YUNA/ユナ")),
    Origin("PHL", _wide("SANTOS/サントス REYES/レイエス CRUZ/クルス"), _wide("MARIA/マリア JOSE/ホセ ANGEL/アンヘル")),
    Origin("BRA", _wide("SILVA/シルヴァ SOUZA/ソウザ COSTA/コスタ"), _wide("LUCAS/ルーカス ANA/アナ PEDRO/ペドロ")),
    Origin("NPL", _wide("GURUNG/グルン SHRESTHA/シュレスタ RAI/ライ"), _wide("SITA/シタ RAM/ラム ANJALI/アンジャリ")),
)

BUILDINGS: Final = _words("""
    コーポ桜 メゾン若葉 ハイツ朝日 サンライズⅡ グランドール瀬戸 シャトー髙台 第２栄荘 県営住宅 市営緑団地 レジデンス№８ パークサイド倉
    ヴィラ・セトウチ ㈱瀬戸内社員寮 特別養護老人ホーム花園 ＡＢＣ～ＤＥＦビル
""")
AREAS: Final = _words("中央 本 元 栄 旭 緑 桜 松 若葉 花園 泉 宮 美園 上 下 西 東 南 北 大")
AREA_ENDINGS: Final = ("町", "台", "ケ丘", "野", "沢", "浜")
CHOME: Final = ("", "１丁目", "２丁目", "３丁目", "４丁目")


@dataclass(frozen=True, slots=True)
class Municipality:
    """A municipality that synthetic residents live in; `postal` begins its postal codes."""

    code: str
    prefecture: str
    name: str
    postal: str


MUNICIPALITIES: Final = {
    municipality.code: municipality
    for municipality in (
        Municipality("332020", "岡山県", "倉敷市", "710"),
        Municipality("372013", "香川県", "高松市", "760"),
        Municipality("382019", "愛媛県", "松山市", "790"),
    )
}
FORMER_ADDRESSES: Final = _words("""
    岡山県岡山市北区大供１丁目 広島県福山市東桜町３番 大阪府大阪市北区中之島１丁目 東京都千代田区霞が関２丁目 香川県丸亀市大手町２丁目
    愛媛県今治市別宮町１丁目 徳島県徳島市幸町２丁目 高知県高知市本町５丁目 兵庫県神戸市中央区加納町６丁目
""")
