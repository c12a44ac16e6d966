//! Small ensembles that scikit-learn fitted and pickled, with its own answers.
//!
//! `file` is the pickle, packed by zlib as joblib does, in Base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::estimator::Ask;
use super::request::Declared;
use crate::flavor::formats;
use crate::model::batch::{Batch, Body};
use crate::model::tensor::{Elements, Shape, Tensor};

struct Case {
    name: &'static str,
    ask: Ask,
    /// Three rows of three columns.
    rows: [f64; 9],
    /// The answer, flat.
    expected: &'static [f64],
    file: &'static str,
}

/// The plan's answer, flat.
fn answer(ask: Ask, file: &[u8], rows: &[f64]) -> Result<Vec<f64>, String> {
    let objects = formats::load(file).map_err(|refusal| refusal.to_string())?;
    let (plan, _) = super::plan(ask, &objects, Declared::default()).map_err(|refusal| refusal.to_string())?;
    let tensor = Tensor::new(
        Shape::from_slice(&[rows.len() / 3, 3]),
        Elements::F64(rows.to_vec()),
    )
    .unwrap();
    let answer = plan
        .run(&Batch::new(Body::Array(tensor)))
        .map_err(|error| error.to_string())?;
    let Body::Array(tensor) = answer.body else {
        panic!("no array");
    };
    Ok(match tensor.elements() {
        Elements::F64(numbers) => numbers.clone(),
        Elements::I64(numbers) => numbers.iter().map(|number| *number as f64).collect(),
        other => panic!("{}", other.dtype()),
    })
}

#[test]
fn ensembles_answer_as_scikit_learn_does() {
    for case in CASES {
        let file = STANDARD.decode(case.file).unwrap();
        let answer = answer(case.ask, &file, &case.rows).unwrap_or_else(|why| panic!("{}: {why}", case.name));
        assert_eq!(answer.len(), case.expected.len(), "{}", case.name);
        for (got, expected) in answer.iter().zip(case.expected) {
            let apart = (got - expected).abs();
            assert!(
                apart <= 1e-13 * expected.abs().max(1.0),
                "{}: {got} for {expected}",
                case.name
            );
        }
    }
}

#[test]
fn trees_refuse_what_they_were_not_made_for() {
    let case = |name: &str| CASES.iter().find(|case| case.name.starts_with(name)).unwrap();
    let file = |name: &str| STANDARD.decode(case(name).file).unwrap();
    // A forest of 1.0 knows no missing values; no tree takes infinities, not even those of the cast to float32.
    let old = file("forest of scikit-learn 1.0");
    let refusal = answer(Ask::Proba, &old, &[f64::NAN, 0.0, 0.0]).unwrap_err();
    assert!(refusal.contains("contains NaN"), "{refusal}");
    let refusal = answer(Ask::Proba, &file("forest of scikit-learn 1.9"), &[1e39, 0.0, 0.0]).unwrap_err();
    assert!(refusal.contains("infinity"), "{refusal}");
    let refusal = answer(Ask::Decision, &file("tree"), &[0.0; 3]).unwrap_err();
    assert!(refusal.contains("`decision_function`"), "{refusal}");
}

#[test]
fn damaged_trees_are_refused_or_answer() {
    // Every byte of the inflated pickle of a tree, changed: none may panic, whatever comes of it.
    let case = CASES.iter().find(|case| case.name.starts_with("tree")).unwrap();
    let mut file = Vec::new();
    let packed = STANDARD.decode(case.file).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&packed[..]), &mut file).unwrap();
    for at in 0..file.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= flip;
            let _ = answer(case.ask, &damaged, &case.rows);
        }
    }
}

const CASES: &[Case] = &[
    Case {
        name: "tree of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[2.0, 0.0, 1.0],
        file: "eNqVVctrE0EYT5rm1daaFrVRiohCjZdgQSSCsMUIalejiPVUGDabSWZxX+7OtgYU9NDWwOCl46E3j6I3/wELHrz0UEHB56kU9daTR+s3m03MJvXRjyUf871/3/x2c7//8adExBe2372lY8Ux89TBOI9UXXFd7HJ24DxWNVezzBtgLwqrVtWww5f5iQf8Hs+xtOpoFDsQwVl/TTM1zlKurWsUjGApY5dyljaUO6iCbUq43MdGDM1ErmLYOnaRHyusmU4rzFLlcpRlhXEeazVCUdVRVAp9ms4LkUDYkChexQr1HJi4xIbFWcQg06r4liFHMSuWgVyqUMxlQCvKaobtwex1GEx1sOLizpr+AoLOUCGtqjZSdJsoHUF7DMu0qGVqKlJdETVstudA0IDLMTZgIsujtkddJPCkgsUi2KzpGXYdVm05OG94OtUUx1HqnA0hB6uW6VLHUyksmsX9SM6SZqUZsgwYFngxWuZL/DrPyVE5tsDJIRav0LqNRUqfVuCNh01vjEXP8lKpNL0N4v/IEcrLjWK2hSQa6L5Ac3CLydvDkjGWcFVFV8TFk4liKtaKXIQWsIiOG/BhxwWNAORomFbiF0ghuCRAxMhBMi6gkMMtIFE4TDQ6GsAoclR4gWwkDTwZELcKW/NMoE0SluNfcm+lJByOsdjN06c6N3GXl3JsQMdVilSi6RXOBh2fXcEpGcAAzlICaIglrKkWV7i4Y3+AgKmcjTVJgiuo2zNqaPC6mDVUsxC1kGgKcASOSzBZ6IrI8d4LkiOLnEyTGTkFWgadAX1ZZFb/lZmFyCtkVj4CugSZOdBX4XwS9DVRwZvsqHBxhwqFRe7JU7DGjKDKudXob5b0R3oETOsvH20U4NmQsiFXYaqbXbEu1oGsr61tSS9evd38kfwg7Q3l59v5213yM9CBe7WVMRjKn5iK7DI/jC/Tzo8HOtE7/5OVle/S+Ovb8HyW0qH8o7uePx7K37fL+d9Lf5rff6sTc4ru7fy+iM/IEiezjeLTGV++SM+fCfkoBR2keV++SiO+vJHCLNiSIn+VXn+zz6bU1O/+s956YP8mCUhemWVQ8JlBc9hx/b+i+GT+TH6Se+X8L8sHSO4=",
    },
    Case {
        name: "forest of scikit-learn 1.9",
        ask: Ask::Proba,
        rows: [0.5, 1.5, -2.0, f64::NAN, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            0.0,
            0.44642857142857145,
            0.5535714285714286,
            0.32142857142857145,
            0.5,
            0.17857142857142858,
            0.0,
            0.8214285714285714,
            0.17857142857142858,
        ],
        file: "eNqtVF1oHFUU3s1mk93sNtmk+dnWYkWspFK3DWpJRJzQiGInLLSYUB/kMjs7mzN2Z2Yzc6dtQPEHkmblPrVXJCLio1Sfax8EAxUFKRJERW0rhcQq9MVnEeu5M7O7s7uxSdTDzJy5555z7j3f+Xm98+0bqYhHLOucLmuKbeY009GMQlnLkZJlaw7lbPikYhYt41lvOVVWHEcv6ZrNL/KDb/BX+ShLolw3FGrZnA3V/FBbQx+qUNccdPKMpuqObpkvoHxTJ6qtU81GDc4653RT5yzhVMo6RSFKCt5VkoZyjhS1CgWeZ/2GbhJHMSplzSGeKpc7WCYsxauUuBxlWSE8q+lzQEnJVlSKx/ibz0UCYmnhu6Qp1MU40X2vWAsdYlpFT5K2PSCIQxWq4XpIeNWNios3X8BrqbamOFrYpRd+cDAaJFW1QpRyBZSQ0i7DMi1qmbpKVEdoZUiAITmj2Y4HSHwsN5Eb426BpU1SR9vx4q0vSUWxFcPho5CCPshAPwzAbhiEYRiCLOwR8BUsizrUVip8mSUtq0AcFbPKq6zLJC9bBQwShuQI68aDCxaGgv89ZxXbC9mmvAojeZYSuAQAo34K0tAnd0AG3345CgP1yGA363Tm0QwG8zDcEO/JQ7YRfq9ZB50gnFyOsR5SzyCXs6zHJJZLKy51iMhlIqgpgkVlukZlAasMg8gZbpnqim0rC5ylia2plomhuirFGmNxT5OzbrPoq1zE2Bb5VLTAz/OTfFSOyrFFDo+yeJEuVDRh0qGP8+qyvxtj0ad4Pp8/fhfJ+8gRygvVqWwtjmjAOwLOcVvcvH5Z9NEbRNUoiMFGpKSRGxFzI6sckizVyDnhL2GGE37XeOjvgt5/zAAcEOAPHf+457V0OAcj4RyIjDwsxwBRgINwCA4LaGAsDMxR1lEKwQFP3hMMn36Xgp9JAQY8DY+wLkdVyoroepiYSsRqWC2hV+yDUP95mY6LGYJpHmieKeKLE0EMEpHGWPuNo7iYqIYOwPPlqNgVmCFWmBnsaawb18ShEcfy8Fq83VPciz02e/TxcC28wvOjrKeslShRQS8XOUvZ3mwJVt1BGNhxFDAasIQ0URsVXBS9d4FalbMRvyS0ImndGTB0nJXmHJmzCLWIOBTDEXEYIiv6FlmRI0scTFiQE8gt5BnkFZiWs8jnkT+A3Eb5KHIH10eQU+HZHQt5Lm/ieXyJu/IkgpQR2T82GW10QWdLN/j0pzQ7I2hD6muSj0+2dk8s0kbocu2z24OfvvfmO+tSb9PWE5O1v7st9FfAg+3V5S/+WDu1/yepq8l+37btT+3fe2dKvSklmuwPbdu+dVr4lKjbe1Oj64xSdjevRtGN5zlMV6fOeUjOfCf5/Kb00SVBX0nv/7qAz9fSWPrqkfTVW/X1J8b1y8b129KFh57H5xupFd8DQnxhI9D7Xmrp4Uj4im4B9sJ9+N3pGDp86fOR/zKGprceMifaJgvMoMNZePFfTQpQ5W4otht24+J09djqJkXfWrT+77qU2WbRh5rmg5WV7skr9y/eOXHlZ6mnyT5Xt99u0Sb/16JtVEY84F3tet9eu7Yh7ftyHp8bLU334I7Pbx4Kgzu0/0Fqts80NR28tUmKG932Yc2Hz28FfFV6zKN16d0VQT9K9+6mVmrvLr+bf5Fq3b2Vvk9rgfw3Kdydms9yfwPf7snW",
    },
    Case {
        name: "targets of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            5.071428571428571,
            -5.071428571428571,
            -0.8999999999999998,
            0.8999999999999998,
            -5.733333333333333,
            5.733333333333333,
        ],
        file: "eNqNVM1rFEkUn49M5iOJzsom5hAlBNGIMBp2WbKscdpENNowiojXoqenZqqxv1JV7W5gBQW/AoWIll49eND/wIOHGU8qRvAiorgnD17EPQh7cqOvOjXZ6ShsHs38puq933uvfq+6z/fdOtyfik0MszMutqhf4RTjCrJdizHMpBg+hG2HOYF/CvZP4hbFjAVU3pS7L8hzclIUbepwTCFAiiG2EFkUNxCmFGJEgYWuw8ErRV8dMy5F0bP+QA0cciLNjPjBc3zELC90MUNxrNot9+5CT01ppsWo2vwdOy3CUZNaNoeCq84jKW1iUCVvYotH0KSsiU1qrWKQHzTinUFq+Y3AQ4xbHMN6WGV1vDCCMyxCXzbFFsO9KWMddGEgFG07RJYbEqsnaMgL/IAHvmMjm6moTf5aGwgKSDMrSj4KIh5GnCF1xqHeVuOAnNIdSbElOQf1C+op8UFziBvxIy9chAEFFFe8yOWORam1KMUgotgOfMZpZHOIFbk4Uoq831gNAX7qkpxL1+UVeVJOmmkzc0mS7SLX4IuhSi8yzrRcurrqzYr0flmr1Y59AYt/zBSX9aW5clofvIsSts2MYsGFIEU4XkkJDi1GPkw0D53E+pNtZFx1QCa69fOw2CWyp3/5ubfsn7I2KUoubnJkE8dtSDFA48HrVV4LB9eJE9CPBGq30J2jVPrHDehLJMXW1QHCzVzv2eI5jDl+C7UCxAOkisJx1Dn2Q2cJPcieb9UwU5clmSHzZgHwAGAZsKqYzf9jjkKkQY6b44AHgTkJOAvrfYBzKkM01ZPht+9kmL4sI9MAGctqLrOd9H8j6Vs3IrAXy8tv21vdRyPuzE/GaKrXpo3uv4zG7Lf8sNlcac/XnpNnd/qMYoI/scb/ss5WNGp35/zC2OOFsffVbIJf2DD/fuVB9cmJf6r9Cf7oGj+nMenvSvKiPb6z5Lz9d6+xOeGqGOkN1n9zN5wpvRowCgn++Ib7/3Sxca91faeRT/DH1vjqVRL9Zy03+v77YmbM9BVJji/Nha//UvayrbF67d00POWORuPvj8pGOhqNh7EVOxqNqduf60/3rlQ1tp8tK/vQxeqNHUfh+dHQ2FGtRXVRRvoDhc5iyuLPfm6q8mtlSkb1ylcIP2NG",
    },
    Case {
        name: "gradient of scikit-learn 1.9",
        ask: Ask::Proba,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            0.40186263892651075,
            0.4715866037945033,
            0.12655075727898601,
            0.49469966720979897,
            0.3983588864824654,
            0.1069414463077356,
            0.3808082105379778,
            0.4992712923728428,
            0.11992049708917953,
        ],
        file: "eNrtOnlcjNv7M1PTPimtJErRpk0iSROVMIpSidRrmqbeYbZmSbuytOgl6S1CvhJJ3SLdrihNlkSiSPa6N5FcW0rIRd/zzgzqXnf5+f3++d2P85nPnPc85zznPPs8c543UTa7zAQnbogmfw2TTuWxrehsPp0VwqRbQeEhKDLWg0cNZdDZgrkcDl/AYIe7Mql8PiOMQeehWahZEhqPmiIqbIgOJllUAYfHRykEhCTeCqyGeFQBHfUgn8jF2i5Elsnh81FEgckJhySPijQeQ0DnMThsFFEKpXN5dBpACUURdRaDDfGpLC6Tzof4XCZDgO2sNhwKTglDKXhEFwOupTPCYQEUxqPSBGA3yaQHTtoQRb4wRIIHyOmVAlVY1CgojE4VCHl0PuqFKGJjQIQAxrbVwrZlsLhCQGE0ANN4dCqfPnxPGo0LUZlcmDoMKMtgA1K9EBUelR3KYUF8ASYCCg4hSleSnzZh7TIiH0nnhXD44klV7GSMZIjNCRXTorSWyhNj8wRoGqIRSWUyQqlizj6xOEyuaoBQIEWADNFgKjucDjaQEXCYYMnY6fefjHO1RFTZnzmFAF8oRQZRoGHKBGMU0WYLWdxoK4jG4dGtWEKmgEHl8ajRKKICAY1w2HwBT0gTAJUjRPFKFJFnh0qWZAH6N6Gu+BA0BfVBTSl4iswmFDZEiKGCaC4dQyEwHNC0VMmsDIJ3Qr28vBYOgSb+ouAEaEiaq+4nCeKlPUHao2Aa0AcJeHRAKhdwibEqEQXGhRIb+swHGJKG61QMIUpNbfQnExePrSRAjflUZpgnxjCbw2JQmYsw6GfLJtKkq0aiSjc0hiBudBQkZHMZNDAPuUZ/fTPYCdH6s7mFbiqzVM0w2QDnYLDX/JFMMVBtBGY4QyChEVH8zDzGKSGKCxQvF0qPZNAwE1Clcrk8ThQE04HPUtnAjtTEuqSyBcNgoxhsIFBgYFA0ELKQjsJuiMICKeyLLGSYnLWYqcrCwNFQj3WfnIgE4MCiaEwhnxFJR1MRVWzBMEiaMGTEGcDHQ1F4sWRb2IeCg5dS8LBvGuyHrdQW8wPQQ+lRWAThhIXx6QKxR0jIA1OYf6lKRxw2HYI5AAJwiZjvAWsmfRJhqJDFArY6yg3rvxa6FIBhA/8MB4uIXBCFeCis6QUcQyol1AseB+SqCH1eBtMQVT6XyuODk4UCrhAcl4aZoGSAGRwe1ocNYCPMKeBJw13CHCGEDXME2Oov3UDSesnSBxfMDWA7QIyKREBiaiH060exwUZ+4tZOLinG2h3pRnVksT+pQVIRQSAI8cXRl2hrNdPKFgViVP4Szb92AIEikyzmZvEIt477nVuTMX6CgIy1PmkD82Crz/aKaLnRaQzsbF8A96GHA3/lc77oBlYEeowQUoG1QHQeD8wAbWG/A8CQgLOEACJRWA2IW5lCgFVAT/ochOFRXrCOF6yJaErCmiQUW0ESPwUuBkESkDg4QzSB+Fh4K6IJQSHAgsLpbCzCAPlKpxCtkRuxBLYzZ9rNAFHQ01fylIVuAoLATIo0YodhSxCi5LdA7Exr6NF/FK0nlyCxE+G0v7GTuXWKONxoUn6mzFOrOb6T3nBiMuPzVX4pmyO0E/XcDPA3nXduflxVyAdnQuPsLqqae1L0DqZawHPRvjMftjUNQfUhE9trr47qgGaunHDYWcu8/T4+28u3yNIoumO8Ci1+b8bc1M11O3VblpwKrUg1C3ZQyiA0vX0WqvbMcM/YrXsigk0UcAkVH9vNDqkHXIprKtl8QWPjmHMRDfmzBNbtssa8XSk3Ne/sCPJ1WjD7ornOiqkxZzI0cL+9W3Ubreojzh5jRfE3qW7TPmI4EL9RIS1T+5i9hhv+Q0Z2e13Fiq7egWnItFeq0y6s2u7aaPaShNMUZFItlvpHhm4NXVg5wwe/S9m7ysYv3nbLuoHdMivTw7YG7T43tu/4pqrYnUGTbEmnlkyFr10RvXgZa79hsabt6jMkp0sG46uD9yqnh3NV78b/qm7h6sFtf2Cxcq9GgHALPzl4xeL4ssAkInsp4hLof+7yjlP15YwokmX0Wc07Uc4XJnCqhsb336Od1+2a4FT4fPbkOvKe2QqKiGOTSWZykN2Ell7qNvWU27IWhZ2P+b9ZvFpBSvdyW9I/xpQXbGAx+9dc/ArnratPesL4c2nWEa/m2Y3TM3Bepxwedv4XhUHEx2RmkiHiflZN+V16G7Or4HTCBN/+jR6yUx7VKGTNbHWXOSxKkxuDe6IQaJFWHX2C+Z+CD3iF1ra8zDlzCnelbWNT9x2O0Y6ZNxhXQGvdmrHjkpVMvYV5lWdH4FJPot66vBiV8e4P1wVOUvQTnrELu7QoavHLCfPMrlqItOx4Fo5+61JzB3TrdAqHGO5ZJSpDVEf98s20u47Rl6NC1FLtz+yxvXHF7eGHElYhZzDxBSKrxlqIlm2P09BR2vKqM/vdz7VX/fn3TWMTcjJis+9/NLRuPVEXsiZ5Snn3ooR5we1vVwCfCX4dEpz2chHpZ9XmWOUw0tKSm+sdghqNFjjk6x7LwVdELMiUOfrzoL/VwK1HNU92V+dlqFcvK9S7bXAo6zz1drZnusHbsmLdI4X92081Wp/2WRNhnXf/B8u1JaqJHMJFQvEPce+bi89vmutWepp25YGIf9rEs39wQLD5UenBFsPpHvuzKca6Y+JdOwI/JF5Rfldssjf9zSonVVZOLmGa6kX9Iv2n8e25N1rlr5BGqe5uqey2ubfht1Gs2Nl7DTtvaqpzirYF+AUtIwhGE21MWS7jzRYUZeH2aPevsjyy5P2oIENt5yOaT+2NF0bQ9ysNBh4+mnQTJ1xT6eJ3qkt44zZh8c/c0yD/Gcy2niD3ZtXyiYbUUw3Lzr2vrx98021ecWZpa9rGDT4Jc1nKA4e8y3QKGnrqN1TluDBOblHTiSsofmj4tsfakWcg075xVW+PfMey44vfWQ6pZubEvJ277ZZNxUrv+dZGevG+jcZOD8McyR+K/ZPkSxzKM3f3TZo9VVngmdCptXv5+76Lheaab5hCw6bkefX62dN7iMnnxtsa+RzXGQg63plU2T+pw7bHwUPDw3uXe9mHacKUJHzZUeZ7VwcHp/Qz1+Pp7I3ePREea62gxWNzx9WnlKqgNYlJNdYmjAvByBOjAp31RFz71g4z1f3GQ11lCp63bv2nOHl6Y5/v7N9WEmBW6Uz35OtBsbJtQScKCZvueIiiLaCszNKMo3qK5I8duvo7uGSNapkDNQnuLEJ++7T8osKXr2LVfKeftnLc/GiH/zrvxAhSzuz31pEnlx/p39yyx6fctiZxWryrkZzZ6Mq1sMOuOmGpjWf8s8YDZgps7oINcTEvzSxrw897FJ906b3284k3xU3GZc4KrT4hQdeeplYXl3DOHO6IX6q7/HLXWaar1vPBtPejdOyeKh/54eLtSLQppWfbvSnH5Fyfazb3vvTzTvTXpGjFNShdVdtjWvN2p0Wv1eDE5VH1WfmI0wNj0yb1GWcNfqrTqc88oab5YMujbebHSl/Nsp58Kzc2YOnz/T435rnIZjYXFafc14dXlq2MNWOnO3f9OsFx7M3yMXnaMxL0mhOsHv94WD7/vu17U2qEIVPtVdr4xHM0x9S06xUNajVjOBZLiEpP6iN6lIYm79gb3TN/832oZ21ZzDhSRI66/U3j81kml99OLlNZRAh/fOTMpka9jsbSnoWdBJ75x/CMloCm44e3W8ae9nYUeI63jLEdlTCkdaWb2RNo08Y8EFG/j1hhtTPfQzPbd3rsDOH6FYfvXjr2mD5pnqiHn3Hx1MK765CxPwnWXLfQrko98pPLxxvVemO6i4zWv3BZzHiybtJxeT9Vx6XX8vIcnA/eelaJpmqLKONe9+VcW7yHaWK3NSz5eVLlgWNdxs/uBG2Ty1FiDSmHyZ8gecyqJcw1CXhsyxx6d6iVS/cJy24vuLZsd94p6ovles0OFTq3rWvmvu/s3PgmIPJ89g9pugcur5q00/ZO+kqq366Ubne7tbizO7ZOnlrZwLupdKj32MlFni4bDyyYE61RR4/fO+Gj48MtY1/yy6r3dfTm2+uVP6glWMweZ+iuz9Je86x2W1mG/epLXeoO9zr3r3483732Da1NySdAlL6VBtUPHbat1KFmm8Wm8mcWNFdo9ScQxzc8Oa13En+wjZcab9gWVh/RPG5veaFcMrtKk78tZ80YFfWp6+3sNV9252Y6L2DTV+/0DuiPEN3L3ut2f7uMjKp6RWRtzsJCX4c56bMKuCLF/5Rw4mpuGz0wsJepOHNpkbDeG1GsxQkMnHw3P9qfaTm4smg7NCW4YD0hKIWPJ6xUN4o1YcTv6u9LqNHtbkpQt9l4oW1PIjXPQenqlFflaVtWWNO7U1vyEKd819PFlTediTpx+crluP0z2y4n+W/QiNyc2VzVRhPsZNTpT633mbDfAefs/NDI/qAh9YjDEpjEyGwTzC+dbh/guabbvZOzo97Gu1LNPIq46vHEYtprEWn1/otnnv+yxZ+vYXC260Af/vjOe8Rg7kCi556ffhsIYzd0hBc2iU5GdfV3muXXKs+Iflsc7PZirpbRYHKIQPYmjh08paVb5+Q72qE54fLz+oQtg4cGThBTp5PHauduHqqc+lSYkugn02/eEzhUcEMmvEoxv+e9x2vqTo7LaDvFfQpbJh7Xb5j4tupD6/KBrCCDEJvdzfFXP77qL47Rb3S+/Zp5+rkxu7a0zy216GV52I2yp5T6/h8LRyevf2pundd0bd6uCotNjzsm3j03eVkzrKrtw2dkne0+eFTPO9Kn3PnyKSOuf5Kx5aPjvaejrnJC20bjbASMEzN+xf1IXFPhE/Mwzao548XzDaSLJg1GOfmZd2oOfxy/N9WsX4k6zeJ1wXkr/deN7buDi8Y8KyXuXOdUWeF9NUO4L+yo5k4bxtylFctfx1km3G08mVr9y9HajhqSv9PT+J7XDTzNlN77vHHNd1T9V2mVNdywvOH/a2fetZ+IoeJMXIbLAf/d5IRCr2Q0RJpDwrlfskZ4NwbI+5Nc8cD3TPB7Jvg9E/yeCX7PBL9ngt8zwe+Z4PdM8P9rJggXgSwQUYSpfCicKuTzxTUjydPni01hCKz+pdQkvQmWVL5QL3j0lykSi8PmCDhsBg2i8aXX2HA4BQ9Pwwoi2EUsNKzSILmYxb5RRBa7jcWKOjJ/vPnFg4FlmqsCflhphoJPkSatahQ8ooSVryAaR8gWiEsvkmrWn92Hy/hPH37RucHLFFFi0sMEEA1mMENRRJknrulJR/LSqg6KKApgHp0PczCowqcKHYqVuMTHS+uDKKIjEQ09FPr9zGgWg8/HygvhHEjAgbBDATMYF83Y/Svjb+7pKbhkFG6B71IUQH8V9GqgvwazKbqgbwW9AeivA7gp6NvA2Ab0N8Q3u7YjGP7jzg7JqJDiAkSkJq4H1P2+HDasyeJwLaKIcQ3g00weWThwcPmEN/S79lHaS6frjp29/vC1/EXyqBH4Vi64f4gv6YqcFEfgT/yML/6TIxdJZQq/bgiYWaUMr1hkO+nH5OvE5D8ij55VrjGrvF+EbQEsPxqOAd+pn6oDcDqMwFv+pgIAlwxzGPj4cB+Bq0Z4BXwCrvkmm4fPA7SGr5v4lb9WYEtT0z3RObEGv12BfdvlZa5UnSeTRuCb/2MFvsxsjSvde5msPAJ/8ggFwk//ieY2OakRvcHnF1HV8zHLY+Z3kf9dmsOP0BxOKqGab9bcFWJhn5fDIbLWCHz7f6y58ZjnRzSRZUbgK/yPNPdpbbq8cluudYcot5Cxq5Ch5PKv9Tlx0FxNuyR6u7XpmzX3446+ZUfbL3x70ISrnR089Ml/FTT/1ufs3S49W/zKmdSqYXlc9yE5uraq/NnEvn9ZtCSM8LkHZPUbtKCe1MvfrLmOg/ssTWMavllzLpVml58cbvxfaa7EUe7Iqbg5ZLn0hMCWuDsibf/A1Stmdf/Lo6Uck7JZNOPkN2suxblg4wvit0dLvf+DaMkNXKU/e8JcUWD1B5lp2u0iZq1p1DIRYUS0pGMJj4qAR8XeVMPep/rqOxSSlzTUgvZZ+rXNf0aO3b3SwCHrieTlDFmIxw5H4RKENPzFOggF2hefYPVfm8m2NA==",
    },
    Case {
        name: "exponential of scikit-learn 1.9",
        ask: Ask::Decision,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[-0.12594944936417113, -0.4554128118829953, -0.12594944936417113],
        file: "eNrtWXtcjFv3n5kauk0XXUmUopumkkinG0mYipLkUo+n6alnNLfmktJFuXTRQ6WnFOpIJDlFeiOkG4lELif3OieRHCESctC7n5mQw3vO+3l/f/0+H/uP2c9ee++1117ru/ZnzVrxslk2+iRJwzSEYWwEFnDpCFeIcILYCB0KDcKxce4COJiFcEVzeDyhiMUNdWXDQiErhIUI8EzcNAGPxU0wJS6EgEkOLOIJhDiDgtEkrMBqSACLENzd+UQu0XZismyeUIhjikgkn8cFXFkwG8fkmQKWCBGweFwcUwhG+AKECXYF45gah8WFhDCHz0aEkJDPZokI5qojqeCgEJxBxnQI4lqEFYqKoBABzBQBbtJJd9Jww+SF4iDpPiBR3zBRiQNHQiEILBILECHuhckTYyCECCXYahJsWRy+GEgYBchMAQILkZE8mUw+BLP5KDyCKMviAlG9MCUBzA3mcSChiNACg4RRh1c697YQ7RI2OgIRBPGEkkll4mRCZIjLC5bIorAWFkh2C0R4CqYeAbNZwbDkZp+uOEK1qkBQoEWwGWKiMDcUAQxkRDw2WDJuxv0n410tMGXu55tC4F44QwaTYxL2BGMc0+KKOfwoOsTkCRA6R8wGxhEI4CgcU4KARXhcoUggZoqA1TGqZCWOjeYGS5dkAvk3467kIDwJ98FNGGQGZTOOGmDUYFEUHyG2UFh2eEqydFYGIzvgXl5eC4dAk/wwSCI8KMVV9ZMGycM9DshALkgkQICIfHA74opSFRDmUeBCn+UnYDfSlpLrUSEp4MZ8QrdkTJcSVdy+oNCDoHwGNJUpXaH+9bZhZmquUd/Z6YMDdLO4Yd8eJiHS5sPsEA9eKEvkQYwlR2Hyn+UnxKdE8oHNRgUjESwmYT1lmM8X8CIhFAEeB3MBBFQlZoC5ohE0FRYX6ARgA4oCehIjODobk1swTPtyJRk2by2BMlkU+AihOxogABQw2WIhKwLBkzFlYmYkRRz0FXPgl8E46iHlhy5ikNDFDDLqnYL6pIiDwFoqgXqAI9qn6weLORyAEpW5RP+9d0MOQAp4RihYROUD/xfgqIYXgOTwJXEvdDywoTz0eRkagCkL+bBAiEA8sYgvBselECCQDgiTk1E9VB81JOCITh4JRjOMEjICgij9bwEobX3OBABRG2AbJYmdIImUEP79I9DPDB44S/tbEgaYKjSsEgi4u1DyzlGt6bPo1jhQm+KXp/O7jBnkRIn0i75yoJi/OJAzIX8A0KnmJ+0TPkP/DC9Mcy7CZBFn+wK6DxIKPETI+2ILVB7YLVwMAxtDiEAAZoB1iBcXmB8AOwgIiaOqQL2KDAqqBHra5+cOVfFCtb1QDUxD+oBIHz06xGcxgSjAHSBISpI8gxBTJDkWTcY0ICgIICYU4RI+DfQ6PIVpfs2II7KeNctmJnhvPH2lX5n4ZqAIAkK0rziMWIJRpa+uBPthSNS3qvXkD+NCPP0fcDGnTp5EGkMryJDppc/2nfyGty4jtkDp97LZYpvanpv+fibzzs6PqQr64ERpduyCVd0SonawVf2f1e5p+JDeMgQ1Bk1qr7mq0gHNWjXxoJOmWft9cpaXb7GFYVTHBCVmbH7anOQtdTk6VxafDq5INg20U0ijtLx9Gqz61GD3uG27wwON5UhxFR/bTQ+o+V+MaTm05bz6prFnw5sKfhJZtssaCXYm3dS4syPA12GB4wUz7RXT1jWkqZP+fLf6Nl71kuo4ls7wMz7VpnXYYCB2k1xKhtZRW/W55A9pWe11FSu6+gamY9NfKU8/v3q7a7PpCxpJQ5QBmy/xiwjeFrywcqYPeaeid5XV0ljrresHdsmsSg3ZFrDr7LiXxzdXRecETLamnV48Db12ufb5i2jbjYs0rNc00Bwu6k84FZivmBrKV74b+4eauas7v/2B+ap8dX/xVmFi4IpFsWUrE6jcJZjLSr+zl3acbixnRdIsos5o3Il0Oj+RVzU0of8e85xO10SHomeOU+qcdzvKyWP2LcYZiQE2E6/0welqSbdlzYs6Hwv/NH+1gpbqNXdx/1gTQaC+ueMfueQVTtvWnPREyWdTLMNfzbMZr6vvtF4xNOTc73KDmI/xrAQDzO2MquK71DZ2V2F93ETf/k3uslMfVctlzrruJnOwNmXUWNITuZXmKaeiTrB/LvxAlrvelpcxe3bRzpR0Lrzn4DqtdfMGYwqZ17el7bhIl2k0N6vy7Fi5xJOquz5vndIEt4frV06WXypusAm56BG56MXEeaZXzWs1bQTm9kvXJ+cO6NRpFw2x3DIPKQ3B9nrlW5h37aMuRQapJts27La+cXnuww+HOEW8wfjnmKwqZyFetj1GXVth66vOrHe/1Vz1E943iY7LTovOuv/RwPL6ibqgsMSp5d0ecfMC29+uAD4T+DooMOWFB+035dZoxRDakkM3N9gFNBsusCvQOZpNrghfkCFz5LdBP/rArUfVT3adyktTO7WsSPe2/oHMc/DtLM9U/bdlJTqHi/q3n262rPcJC7fMu/+LxdpDyvE8ygVKyS8x71tLzm2eM7e0nnn5Qa2w3tizf3BAtOVR6f4rBjPc92YxjHTGxrp2rPwQf1nxXYlxfuqb1Q7KnOxcynTlC3rFer2x7bk3ro++TFNR3nWlstvq3sY/VTjRjvkGnTc11HjF6f5LA5ZRRGOoViYclwmmC4ozSbu1+ldbHF78XiXAQMvpsEavrdHCcGSvwuDKg0cSbpLEYZUuS093iW/cpiz6jV8PIo3BLMuJo96sXj7JAD7dtOzs+8bGwTfdZhUNS66nbNroEzeHozhwwLtMu7Cpp3FjVbYL6+RWVe2YwpKHBm97LO0F+jLtm1b39YzuWHZ80TuLIeWM7HVv56TfsqpY5T3f0lA31rfZyOFhiL3zhxK/hNGH7Mozdr2c7DhNUeQZ16m5a/n7lxeKzDTesMUGLYnzGvWyZvRQE89OsDb0Oa49EHC8M6Gyf3KHdY+du7q79063sg/TxUkJ5LIj7PeudnYOqQ2/xiLcTd494e5r6dCicbnjG5NKlfDq+IRqS2PW+UDsiWGh9gYqqX1bh6nyXqOhrjI5z1u3fi5JnNH80tfxz1UUlFM6yy3x14Bo2baAE0WUzXfca6PMocyM0rQjuvLOHzt09HbwndVPyeyrjnPjUArapxcUF714Fa3qO6Oebr/l0Q6/9d7x4bRsx/eWESeXH+7fcmW3T7l1dfz0WFfDUaZjKteidjvrxKVWnrFPm/eZynH5CzbGrHthalETes695KRL37XfTrwpaTEqc5K77hMUcK03+VTJIV7DwY7YJTrLL3WdYbtqPhtMea+ibdOrePiXC7cj8JaknvR7U4+Ocn2m0dr3Yql3vJ8GQzOmSeGq6m6T6rc55n30wUnLIxszCzCHB0YmLWozz+gfq9NuzDihqvFg66N0s6Olr36ynHIrN9p/ybO9PjfmuchmtBaXJN3XQ1eVrYo25aY6df0x0X7czfKxeVoz43Rb4+iP/3VwdMF96/cmcLgBW/VVyoT4s0z75JRfK5pUq8fyzBdTFZ40hvcoDE3ZkR/VM3/Lfahnbdm68bTwbDXbm0bnMo0vvZ1SpuRBCX18uGFzs25Hc2nPwk6KwOxjaNoV/5bjB7dbRNd724s8J1iss1aJG9K83M3uWWnVxt4X3riHWkHPKXDXyPKdET1TvGHFwbsXjz5GJs+r7RGmXTi98O56bNwxUdiv5lpVyYePuXy8cUp3bHex4YbnLotYT9ZPPj56qbL9kmt5eXZO+289rcSTtWoZ41+/zL62aDfb2GZbSOKzhMp9R7uMnt4JSB+VrcAZUgwZfYLm/lMNZY6x/2Nr9tC7A9f5iE9IVnvhtWW78k7Dz5frttpVaN+2rJ7zvrNz0xv/iHNZv6To7Lu0enKO9Z3UVfDSnUndbjZrSWd2bJsyrbJJcFPhQN/Rkx6eLpv2LZgdpV6HxOZP/Gj/cOu4F8KyU3s6+gpsdcsf1FDMHccbuOlxtMKe1qSXpdmuudilZnevc++ax/Pdat4w2xR8/GtTtzGhxqGD1pXacJZpdLJwVmFrhWZ/HHVC05N63ZPk/W2C5FiDtpDG8Nbx+eVFoxK5VRrC9OywsUpq0zbY2Gq86M7NcFrARdbkePv3h9fey8qfe3+7jIyyWkVETfbCIl+72ak/FfJr5X8+xIupvm34QN9WpqLhooe40RuTryGJ9B18tzzam2ExuKp4OzQ1sHADJSBJSKasUjOMNmbF7ux/GVet090Sp2a16Xzb7ng4z07h6tRX5SlbV1gi3clX8jCHAtf6ksqbTlTtmALFctLeWW2XEvw2qkdsyWitamOKclh1etMafSbutSM5OT00tN1vAB+2W4zSWBltovmlM2z9PcO63Tp5OxqtvCtVzSKpqx9PKmG+rqWt2Xuh4dnvW/2E6vpnuva9JB/PuUcN5A/Ee+4+9udACLepI7SopfZkZFd/p2lBjeLMqLclgXOfz9E0HEwMEsneJHEDp17p1j75jnlgdujoeS/FVwYPDJygJs9wHqeVu2WoclqvOCl+qUy/Wc/KocIbMqFV8gU9791fwzk8lzE28nvktk46rtc06W3Vh+vLBzID9IOsdrXGXv34qr9knV6z0+3X7PpnRtya0pdzk4tflIfcKOtlNPb/q2hM4oZeM8u8lmvzdlaYb37cMenu2SnLWlFlLR8hK/NM9/4jut4RPuVOl04b8v0SjCweHe+rj7zKC24bQ7ISsU7M/IP0L2pYhc+6hyn01rTnzzbSLhg3GWYXZNypPvhxQn6yab8CPN38deE5ut7r5vZdgcVjn5ZSc9Y7VFZ4X00T7wk5opFjxZqzpGL56xiLuLvNJ5NP/X6kpqOa5ufQG9vzukmgkdR3XzC+9Y6y32rNsqYbFjf8/ujMu3aMGiyJxGX4POKvlljslYgHDceQaOaXqBHNIgg7/kOsmP8jEvwRCf6IBH9Egj8iwR+R4I9I8Eck+CMS/P8aCaJ7QRSIyaOwEAqFxUKhpDoj/fqc2BQHoWpfijrDGWBpjQn3Qsd8maJxeFyeiMdlMSGmcDhtjcIMMjqdKEEQiVhoRFVAmpglfnFMlsjGEuUTmW8zv2QwsEhxlRtZDGGQk4aDVlVJ+YMXjEBMnpgrkhQ7pHWjbznJSPKcMn4zRiY6Y71MMAU2EiKCmCiLHYxjigJJ9Wx4NHq4joJj8iJUgAhRHkGV+1QLw4likuT44UocjmlLVYMEQ3+dGcNhCYVENTCUB4l4EHEouAxxiwtE/pX1D3l5BikRR5vRNoYc6C+CXhX0LSjK0AH9JdDrg/4yoJuAvhWMrUB/RZLZtf7qwt9ytkvExQwXoCJVSf6/7pOuKaRv2p7c3M5a8nBdQOerKTuXT19Df2kfh/vh6bphVtVKX+03+a/375EU+x47/6f9kj85oyJgtvj7QCBglSSpVOgslbSs6uFSR62fZPxQUrEAyBeiIvC74VN1AN2MJqJJ/1ABQPePcBi0fKSPoEe/8gq0Aj32P2EerQPb6r8P8fP/hQGTEZ78KN3e/6MB0x3+VwMWOy2QjWvv+VsDot1/bznz2UG0uSretZ8s52hz0tRL58FXlkMIICiJBDBRKycqun9XtAqXs4y6LfvU2aPM8+z5+U+kRStZSMANxdH9GG1kdZ+os0pPoP8bzMQ6QA==",
    },
    Case {
        name: "hist of scikit-learn 1.9",
        ask: Ask::Proba,
        rows: [1.0, 1.5, -2.0, f64::NAN, 0.25, 0.75, 9.0, -2.5, 1.25],
        expected: &[
            0.3872780266249454,
            0.4437222249288753,
            0.16899974844617927,
            0.48804677489537024,
            0.4287847208058632,
            0.08316850429876652,
            0.48804677489537024,
            0.4287847208058632,
            0.08316850429876652,
        ],
        file: "eNrVWXtwG8UZlywrlm1ZkWMnMRQTCC5NWqIhD1KgGWRjghOLCAIZGGjT7Uk6aU853Yl7xI8m0E4G24LlMeUylExnSssALdBCCjPAELApECgNUBJeQ6E8GigDtIQkECgU+u1D0smPJKL8QTVj3e7efvu9f9+38k9qN3+33cM+5FRznSpLhhaRNVPOJVQ5grBiWihjSClF1iyU0HXTUrRMZMKKQ45eAVt7xPrpYrlblUxTSSuy4VzrzP+ps9GZR2pV3TQdElD1DOLDJsYVtiNDsmSnJ3rf9fSzhQRyUj9SLKCO1ZAQncDONNL0lGw6MR+pp0spOW9hJ07COUVDppTLq7LJ9lGiZnURMuSMrUqGMihZiq45PR7xIUFKnpYlyzbgvJ7oHrHO2CYUDXh8QZpyuqZbuqYkUdK0gM90RQOJpCQ9TCy1JkHujG4oSUktH7jWiXkk0tAnGTlkWpJhOQUSAk3VAZjq+Tw1W4HUmUkghCH2k5b1kqqkmJgoLVi4zBHWmDFAf5TEkpaRnVgD8Vm66vScNvjC3i3b7lhB6tbLRkI34RXoZ0haSmfMwaxxEkxSd6A+WclgromJ3JI7ZJZm5/IDEQQiyZGcrVqKZBjSgEOCYMWkrpmWYSct8CXxs50OqdNSfMu1wPEyp9ubcIadc515MW/Md5mDjyH+lDWQlylJTWKhUxjhb33Eu8GJx+O9X8CHfcU8lpModPu8Ho8DI9KE8oacN/SkbJq64ZDjisGZ1HN5UJAKqdo5DVmgpZnWjRyECWnuZotrXGulwAu6dlLvzCN1spaEWAK6OcXTy0xpnCOxAYI0dLaRUjRJXS5ISsc2FE0ILie1km3pTlFpUL8ureqStXQJNUAInJZSZWRr6zS9TwNpbVMWLFIIfG/LkAzirZj3XPqxiMqZxY05hQk3YUMTTYC0IV9sw84B8C/LGJd0cTILCT2Rblt52wIbamklA3qQ+pJ1wKkpOS2B9x2ThEsUEFgmjUfiXxg5JbLQsRP4+GGgg0CQWfw45DtTWDFtazxdKnzVcqZYntRbtZQIjme0uq6CcevykEQKMAJbthVZ2ZaimpFy4jikMYnl5DpUDMvLaMDhtfPhUNy11sHdEmkGgIMURZIK6apokFROwY7TqAsqGtVTZiKDwQLiYNhAmqRkErAGmSCGyRY4I0HijJBmkftIk3IAQmBjOKJuXR/IkqHmb4StqDTFvRsdfBZeZeI4PhusOQfPpSmEO9wJdAKkhMfrpSkx7Mik3pBzkqKxmK1NGXreIWEuD7IwgA7W1RQgxq7F7EOmaSirJyjrFpfpBQJQEY4okCMEYqCJwo+URCQhrQRsoDCi6BsQGchyCR+PNZm0uz2MLB220igDgRUIBupXfAqDRbx6LVOxRsbmWscmDaisGDaxBW8LhYIM8RUS6omApWZ35zFizE/By3jY4CjuxF24G5+Bl+MzS7mBe8rDFXG8smx70gLSiaSxIBclKHspp4AHY14IpFLuUDYTHeSHyXxSkz7ZjWvLJsW1eZ6Kz56oGHTyR0A8w53U0xKkXTHLy7YTYQJJh1fjNULfC/BFeO3EEMcJHtA4FcdyAacLODOC4QAljrOuwBuM1YhTtWFmd7yJRtl0YWzBG3HHkUDCVqAkgMOJ31ThDQP9mDdOdQeZbqUxyycmTDwxD5vYgsUgWKcNjas51O35PJh86vAvVoQQUqWErKISaB81BdywbVCzzqLPCXgdYFWQajU5S3Co4nIo3jyZO9uKjvSKZ414UkmFvg/ih6CgQkbIwCwP+UCLNy/uNH2gpIryLFP128k0EwwiUUmpDPYhZOgOXPy7xzsYyyHYBdBezF/TTvA2CBm0MWvlNZ0zi6C8kgSrAWwglJE1KpBuIEBYxvc50oqg87EmviIt445JZqCoEf853T2suNEQpNZtqqAubYCAYU0IDaQ3Lg/LF5347nWr97fs3f/E8O2ff5wkPgXg9vLwhbOTTfue/6vxl6e7Vj73w5f8AAxYMpENLdfiRbSlCdChnKEdoccmR1bINI7zNxDKD/RDseUao/PAzOfx4kgDF/+DBMct9c799Ts8fufhHfjp7kDwqS1jJQvHPBPjpZbHi73kUPESvuln318899Vrw/3Jvpvtuxc9ROMkVjsfvoecBDUeaURliKXx4Rfd8YxilLN5hC+2rJDU9CraoGl6DkriWXS1FOL+pNhVSSoO7BhnmO6ByQ/L1nlp2zHV694zgt8LzadaQ0uvaOsmSsoWwxWUGcXiYkLfgEQiUmVr+vNQpKal5PUUVqB1AVAw9H6EaU5LGqB+mLWfEoB0eY234lCi0QCkGTRD2elU5MBKsVy2iE/V+2j81GKofNAzFVv9JlgHmEuqtqmspyU8RDe4Vgp2ooINQE3KyR4JbPjJ2XYYxjzZo+nDm50Dj0L2GPoNhLN4w03LWj/Fcj2dNmVad0kDFxhe0RYhJGa6JiOswwrQzkjpqPKyQGtfK6Ito+uaAA8JxG6k9xXEoBRC/8TDvsgBlcaubw3odEVbxelLVoP2gV2DVnm8pL4EK05vZ5PPQ0KVSO7gu0mYd66ulpMW50nLplNlSYzHZXwk3kXDhjY6UgrCpgYfNSWE2667Bl5w0JvG7IqG2mSWVFL9iN7+ptNJqbPi3UZ2KVBOZDyTa/WbNPvMGOMtWP1Yhs0/H13C5gdGt7Db3AejXLu3xfz10Sd30M/LYt/DxWeUn/d8VOyLsm07dkf5+e9GOd0esW+veL9fvP9UvC9ataaT76tlVp1aC86tfkz4ZIzP/yOk/mx08ThthDTi+feSNvz9n8Tzt0KqXUKq3eL5ntDuAxED+8X8Q7H/gNDu3+L5uXhfx7SQoTixQIWbsVZqnKYo7wcK3UE/sJgl/soFG5IrIZkywJbM0lzh9++Jx8BBQ8xKbfujL199/tgr0TMiV27dfvML0Tn33H3DVXe9M8riqrF4is6vm/TGueiwM7NEC1fCNdBCnFOal2Ge/xAyVV/qO/+kpRVJABTikulP6jYgD2ks9gwQ78AHyqnrGkFmFE2Z0Wkvr8ppi2I9e/gN9iMCqc1A104vvOxXGFKniN9eaCPgyhwnu5AicwPUaEBAxs5i8GnQXAJkHnKyJh0eiAVgaNHho7EgDG2+oRWG62GY7aJAexTM+vj2dhj28+GxMBzg278Jw0G+ugCGPy5RLoTZhtJs0RAXjM8Ww2wjJ1oy5Nixk8GUYYoVp7d5yzjV5ur6irnnpQu18Ff/zNCBR+IdPNlC7PuGRzpuebHwz2jYRVfEBtY2+uDv/hf8V8zCzZ3eck/Z9OxNMwd/9dhojeeQnz1skzj8j7/4rDX0+lg0VCXdbMEvcDh03jIdx1BaSOQUixGK/4g7erLg9FAP0zTklK2G1FcNWXYz8AVCO5HNlKtwdlJIhjzIXkxr8QQH1lQ4cDd3IF00rv54wPxlE3dgkH2PvPTak77r7xidfjCT3Jc97uR9W96MugzTfm50ZZ29J1rvcnwRvL0+ETAd316nvrimgTue89u998ZNy2ZtGPVX6cDWxz97bfW9T0Vrq6SjbsheM6kBxxs9e91hbfvffFOZXJ7OUnJdce/OB7zyXO6bGez75uWPo7tufGt05mRJWUyuC3e+fGqh9yPmG5GUbc92tT/b9cBouEpbLbv0W7e9eeXWaLW+8X+6dc6nW1+N+r5Ecn3VvpFpD/OV+ccFfkMnXbjAt7TdDX7LF4w17x1+++DgN9h57mM76oNu8Hvl/gfVjt7tVYNf8NHNG+2fb6sa/O48vueG7Y8+cgjw23YmvvOSDVHv1zd3psS1Sz5xEq/9YJob14ZH+kelq247OK5dbb+x8G+3vuXWOTvnnIffv+49hmtFfsV2zVPEtWNv+cOPPmyo4z7lWXbCEys2td7x56rxafCemx545qMrqsbD/xtc+2T2BSdunt7qxrWLIr9v24HfPDiudZw27bRNjfvcuDbvwwcXjWzfVjWu3d65s+9f799WNa4ld+17teuanV8PXJNJHaL/TYMrbJz9t4f+Q5DOJ7sLeNhFp0hNml136sOk4beGyH8BEQiafg==",
    },
    Case {
        name: "poisson of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, f64::NAN, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[3.422089253176053, 3.422089253176053, 3.7274394916862765],
        file: "eNqdFwuMVNX17c7s7ux/FoaFUDF+aoptnbILpajIrIzpUAanGzDENCE3b97cmfvgzXvP91l2/ZOG1TU3UeRiI5qmKalak6aJsaZFzW7Tn7alMbXVVlGDEKP4A4OlEdSe+5k3s5+w0DuZd94995x7/ufed3d839u9mhj0Gn+HhXXPTmPbx9WihdOImH6AKp5eMrEdoKLj+IFpV9KzMIwu2wCkOYVfr9CbccXDvu94bC+7che7gy2nccvxfUbbXMeEBZvRbiETiJGnB5jlMr95mI/9NFHVR5EZYI/lm2kPnwBlGdlOCfssH6PtHFXCbkBYgSarpo18vepa2Bd0nKnPGkQeroSW7pm36oEJ4nKaGrSLs5exHoSgIog9ofBCbNG0QcaXtLvq2E7g2KaBDD8AOb2mDRrpBt9MoVIG6F1xPNPQrfqGtKPsOVVUCsZcDJOduldFfqB7AZugPWCxNQZTx3W58yZom2/ABvBKWujCEd0yS0JdVFaiGtyStIVTwA/IILpdwSzfQWOBY7Hcultf/WT/c7/cQNtGsFd0fFgCOz3dLjlCOLi3QBO3hLodmBYW1vioUXtAdSPXw67nGDJuBboEzSDycFV3XVyCtR47MhiB/3lU+m0UeBjmLujIFZWGsHwT7UI1VTBwA2VYdcfSCCzH6WpoBabuefoYo60+iNF5ztAWQQNQ+hEwzeEaNnHvPWwzWw7SmtayQqGw8UsY4pHXAlbMJp4MN7zBg8nGgY7215REfliUOYI8nrMpqYHUKo1c04ACYDSJUAXbXHPHQ0YgspcM0BSCtAhmL9GFM7YxKqtXgcrD2RzAvWw36MAzv3sad0RAW2RkgISsuy/Zt//zLWufsRc/8auzpR0/3DdMY6ZtsPv6Ti984I9/6P/Fnjez1+fc+OHjWkg7iO6jEBJy5SAPdIK/4gqvF1hcOk2pGaK/gpA7NopCW5qMtkBAtuBbQmwb3MkkS7tmoDZe9tPjsYJwO/kq+Xo28XivcVXk4rxGLuPhxYZj+4EXGgHf5QraZpdkTPcCyW6WbSoyGbmmfHw3I1+DaK6qR5N8Y3YsJ7LJpeNrf7v48uoNz3yYSy/q6E8zQOfjV8JznBW5c2knquchz8EWJJvMglpDE/O0RPZu0K3ysOw+mzgmak0thqRYOJ1NbdaXHZuDE6THLdPeMVuYQLZtciqb+JsQQtuhZ1i674OaBdo86sKztYRHTIMXYw9UleeMIgKVZ+o2dIWkcCdUawNONiBoEWgMCi3EjFRp4nsKV7clZjk7eVLEiVkhLHdXrbt1Ax5K1bBC3xzB7F7awwkaMBNhcZoM6AYlRkbltuQ2iPTt0W7kjglyJzAAy4KSg6Z3NQTKplDoY9TQzwDoILSTN1gk2ghk44rzPneAyxanTQdab9o3Sv7I5lZb9u0btSbaHpU62zjUHdNoz/Quxo+MHbaz046QPCZkKfkWD1JAPKyXIJeayUWkQIZ58pLNtdSNqdQdaGxEt7O5kjfGKwTe6OIqpA33CjgjhO7I7TdLo4gfMr18wkX6xLFKPmLbwNOzpC6SUstr5iuYJ8piLJqSQVowtVKM7qm/ihGf2i9Oks8nVwn86clDAn9iUvJ9pPDvq/k7k5L+iKI7PCn3fUnR/S4j19/LyP1PZaS80wqeyUj6+JBc7xpS+g1xx8xt54HIipr27VMVMf8i0lpKPam0eXeWlkq7SEu53ytK2yNK22NKy/czyguK7pMZ1pxR69qQlNesrIjPY4WU1q5ioUW+l9OzkytnWKO0UfBoZI1cf1HBnyutXlZaHVPwA2XdSeXzU2r+aRQTqfVnCn6h1tuEFRhOMlFBcLeA6lQJy+YugJsnsl39IKL2F1meRKqUEVxAfH5voS0D6avTAwxaRAoVdR9DX8SiqZjyYjN7d/iNC+clmjrXbV8dnsqIvTtrXI7n8wrZxujgeTeOiBXumzfB9WQ4mte7v7xYztanRRRebOu3VzdU3kMF4BC1DCYaTmgHcAzVrhlQ2CAHDuB6VcP5UHNoxUGBA3fUcsDPDgFaPGjCfFrRTe4zeaulbaa6y/K7Q0OLYITSDjjSfRwIWYHozS+TA3kNPPcPcnM+AfCfvF2Y87SLfBdQvgKcKYCvkn35iwD+C3ZYBvDfAC8F+BqsXwHwdZhfBfAw0A0AfAPgIEAKcCXAN2F91TgL82vAbUnejNYvadKisaT+qtWqq4mvN8O/Nfmd0d1bV8jykl8kl3z0H5R6/uHJBdo5xsX4m8sOPdI5xPdRst4u//jy7KXvZlrrKK3WDTTekePwf2p7ateug0sFn5YQNL//gff8sQGWiWnzjhOTzfXN7/9J7NcP/mnqgvnkwcDPNFwS+cDPIiTjOlciaiKsUHiSM+XpOy+EjXwGXGFR38bIC+o4/8vc2f73C4jbC1sL7G8fL2+M25+/++xbEy/+6Nxxe+zJQ/jp73c1xu3AEf+lk/89eu64rRi57szQ0WRj3HKP/uzq5kN7Ltj/xwe3X+tuPPh/xY18Oo+jydn5I4FpG+Iffph/Z3UFns6/Yfl8rqariRNFsNK+hivV+TCQg+TZsJj+H/MX8lA=",
    },
    Case {
        name: "samme of scikit-learn 1.9",
        ask: Ask::Proba,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            0.2557399406651335,
            0.37690308660621374,
            0.3673569727286527,
            0.37690308660621374,
            0.3673569727286527,
            0.2557399406651335,
            0.2557399406651335,
            0.37690308660621374,
            0.3673569727286527,
        ],
        file: "eNqdVl1oXEUU3s0mzW7+3KzNj9rGCtUkImtDJK7UMrZRanJxrWK0rdbx7t3ZzNX7s713bmtE8QeTGh38ywiCFH3wQaIU+iL1yUiFPqhQa5UqFh9iKcEH64siiPHM7N3sbhKb6GH3Hmbm/HznnG/u7nP1b92TiCjh1/lPWET3nDRxfGLnLJLGh4k5ThnOua7PTGdc8NTOvL5LroYt3ffNgkk8MSP6nxfPiD6eIGBl68z1RJa3OHhp6QutjieXlrioe7rti37eqhJCZOzpjIjd6FKIpcXTnbxrY5/JfS3C2xxcIDoLPOJj08FCi/GmSkDBO8rgmUcAuCHhEV/wzjuJYfqm6zwA+6uCNjyTEQ8sBK8fNx1T8LhftEwGm7CTgySCJ2z9SZwnRUaFFuXtNiDwdbtoARhlq+qr3gUsBWnaLTfDLhY83WCQp3S4OxIp1yqDl4uDzrXJtbTBjpuXOzSR5R0ykGkXA0A7AVAMj+g+qY6iSg5zQZSEYRSxbhWpXmXUaruOy1zHNLDhS6skDvuGDxHPV01oGEjflh4QQY43VwaIxQHRR9tKPaPtNEWvpBtphxalnVod7QLdvZSFXpWlVwPo0Y+anm2h11T2N2Xp5sqqJ0ub5BQd7AasGDDIAQ2Lh5ODkXY6gV2cgFm6HknbgcVM3fP0CcFbsEcM1/GZFxgMJskblKXgjU6+ZDIDlJkUw9GcOCLuF31aVItNCnojb8iziSKRLnVmRky/VDqN8ejtIpvNji6CqIcWYSI3PdxdBhsNdV2oBRxL5EtgaS/f4Bu6pUtm0aHheKxsOQUpoO9VI1bkbZA8hSJTtbyVT2CdJKssIkb76U2yFJouFxKFxdB0VQKAokXlqZwMTARwAW2ga4HDVKYSi1ZGki0Z5LEHh26p7sTTItvHmyxSYNigppUXvNlT9A1XjWEZcCkYhWqoK3fjZWoKeVMVgPAqCN5V4iTJ4+UnKduE+wi3f9zFzMUyKZQj69gHyGpGRG9dOSAtMiXofkq0OOiHQSdBPyI9C2t5doPlAWppW0A/Cp59oDGst4F+TEYIBqoi7F0lQmZKBNod0MakosrccopUSX0kcvrTV+Yzr85n5lGZU3/JUIu/orLf4jL5O9Th8dyxk2cv/N74Pbqixn4eRdbp33Tq4KZTB39EiRpo55b8FaU3HNKtYHWyyO8RQa3p4bv3j0k5j47NSvkBlUqeQxOHpVxEqXYpX6PlfVBuYxdQSX+LZMogR6+lW+D5H98tN89+3rXWu4VeD743rE78oTVuN91Od6y4x3QnBN1F7/pf95LeC257Vkfz0OUJlBkcPIleOP7JyHu/VQhUsr+0bgL1TP5y34me8ygZbsyMnoDP+gn0cq+++eO951C8TJ3HX5OfGgLRpy7PnLffkfIFOtq68G7rwk/oja0jb24dOYMKSr5DX30p5ecVzBELH754fN9pNNQ8u6P3m4s1zCE8VfkjUHrVyBfyChx1kwpDUnyGxqZG/kTvv/5B756jf6hYvL0Sgnie+sH79wiK9rNn0EYlZ1UE4Nk2uh0mrDCl/wEr/1tU",
    },
    Case {
        name: "median of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[1.8071428571428576, -2.4466666666666668, -3.1833333333333336],
        file: "eNrNVk1sG0UUXsdJajtO6hiSOIEDrarWkYJJogCO1MrbpqWoC4aGwqFQDev1JLPK/rEz2ybip+XQ/EiDBHRy4IKQekBIXHrhhJRcOBGkcAAkxKEXgpRLgwQHJNTyZu3EdmOlKVwYWTN6M+997+d7z/a11uXuhBIufojOWFj3nRx2KLZLFs6hK9icJgyVXJcy05kWvPtkWT8lpUk87WNKXV/cEIPvi3dFlscxKNk6gzves43FfAw4hqVTiincn8aGSU3XuQD3zTAM32TYBwXBO+lbge7jMsK+LzFj1LNMBq+Ct5bAl+BxW59FZewxIrQI77ZNB1Hd9ixMUagrtBaeqr+FmKakakZeVpOb8nWDgcPK41mlunhSgk9hnQUQpCjyLilLHeS45fAm6etO2bURZTrDIPdIVNP2AshhDuIyfKxTXA8Z1qHqGAzihuEh3fKIXqfUabuOy1zHNJBBpVYKVYuJLmOfhqVpG8mN50ZEUOJJB+2UnQotylM7IvJ0X7epGOSdoTkQiHwZ6dnCVsUX6dEU3mq5FJhpt0wHtATvcnayRpCPxEzUMAWJ846aRyQuiSyJVdgjHSRJOkkXOahFSEprId1wpncyI48UyaNF0nPuy8TVJOmt3fcVSaYm9RfJIenTQW7AvICBD2Css56NMKg22VpI8HRjq8kdGkT2F7QV6PU6ge3NQQ+6Ps7ZgcVM3ff1OcGTyMeG61DmBwYDXd4Wagp+wClXVMBeuS4mIiWxICZFVotokeuCDPO2MpvzJDxvMfNiabHyGuWR46JYLJ67ByvcNIWJ0tJELFLNTYCoRaS2rBZUCbKEXoLQAoeFOVVaizxFRqVnMrbtNwrCOI++9sxYvbt3RDHLExaeYsggplUWvMMPe7oqHagWDCaFEagbceVtbLtFQ67DAKrzIXhfpTdh6O5/SdsmpbKFpl3EXCSdQjoyjyJE1lAHcmJ3FTRlXpCXyEUtBufLcKbgPC8tpx5kmQHNSaJrT8D5Clhm4bwA8jCcr0qEYKQO4cUmCPl5EWgqlDEV8rG6zUeLsmu1Ksr6ypN/ffMxig2rmYanvLptd+++dbd6Vp9Xe39eXDo1EFUPNtjnVGWf9qWPRrfYzKAab7A/vGMv+4i3X9atoHmzyEZdEERfmsgsfxKulRtoCJKKrn71Zgd8UqqECEpkgDwG+0PO7+f62/kHzS85BraSj0EyBPuuGOUgHd9rNMhpMDvTfBJeaMJhpFao9bU1RRUy4Vv5f83h7T7tvVtH+tV0g/3ovjn80DuR+OnmgNreYJ9p4JC4e5O3Fq6NldkrcsVXvwvlgf9E3tNHH7/0Pyfvl5UJvPDFtx/sHsD9Fn/9x7E7+TNbhUSD/ZF92x9Wf7369WZa7WqwH3oo8uYX5fpjJewDr3f1ZtfmZ12bfxfqycM8XftprXz1wo9b87pJzI1jt5dfz/5e+LTwvNt/905h6I3Z8baLGyEm765Bhf+Y9kRy/nTd0fPrBeXo2EzPs98XnruGI7+d/CFEqsSW+wdGopLX",
    },
    Case {
        name: "isolation of scikit-learn 1.9",
        ask: Ask::Decision,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[0.020970018740436136, 0.020970018740436136, 0.020970018740436136],
        file: "eNrFVwlsVEUY3qPb7m4Paqm0CEo5lAWxFlsOAZ1VkMMXVqWgLYrPt7uvnQe77y3vAFsxVhKKTcYoMqDRROsRxCNGhIBEsI0hHonxCmJE1BJFBISAyCEe+M/b+7UroCZO0v33n/n/+b//3Glb3pqSfjZzkYHaoogoqHK1KGtiNBgRq3mpSVFFTaek3yxNiQi6pMjT4zur6agH6f3URzzASVFBV1QaIEUyn2I1yjlIaYrlY4IqRDU6ihRGhXt5TYjGIiLIuEkR45tEQTdU0VTyBBVF13RViNEOUpZi0jIdxKMoQV4LARZgvEsFNcpruqDqwOXL/EIlqDE0qiCHFfNEFylnIwVLRDWoaOb34pAi60JUkk2vKMkTDF2hpEROmeElmaecM44vgZdngL28nMZfSbxpHym5OBlEXRUhgKGIoGkgRspuuhd8mAubc8RmuFyDeKVjGFIlXVRNHMXaYkNQxTAvqirIELcWi0g6nFKSH/eHEg9DFBZjOmb4LgInUvhMaTPymbsAqYlydlLJNpeKUjPW+SZVCDHX44czbImFPSBXwgywfV5WwgA/gPtByC5m2lI0ZgDaFrAfUkUBgplSJUWmuwkDkABPKBTjhUgMCxlCxVFFVnRFlkJ8SGNSpXwiZjykRzOD4BpbfW31WGoESRFvqZZi3louJYnjtN3CdBHydAH14YHxQOPB+FJ8GR6CqzgnHso58DDOjodnuY5HgK83//REdBm+PH1wRQCPTHO+AO4Pdr0yrxh6zNBZVdjBrwxc5o6L1QDURFl2TbBPqDdWC1ACcNEA2YjGWqBYoJyro0ZElwRVFVooOK+KUKZQ/UaItRxxmZKUFMjhuAjo21bQqfYgXUnnUB9n5+wrKJ5MXGG9JcauJw5pIu14KH7qJPYpNBAI3HwWlvnB2XQa7Jjqtid8o8BydibNwgVhAi+hAgCaIUNZeQCBWRB4Er6OWcYoadcDzDTivH18Xaa5ZTTgI96I2KTzISxFwpQUqmb1JbiCRMCgpnUMccMK23Uni8zsRxNAsgJIRTzL0CDWk7KopGmS3Mw3K7yu8MwouMP8aARkWXHAM3tHgbO1Uzwfi5wb6J1AS4HexTSbzqVZCZILcISrAno3aPqA8sDXAL2H3WCMzbihoY8bJrZTg/NDGEtZPm70O2y2ZEocCZrkly9ffKaivrC7+9j0nrxNzyC3LXNV+ZPfzlrWnwmaOO62We6Nr6Mo+c2ZoPkWuReMgRvyhx1CNbUDfNs+ehYVZOkP9ifl8hLUZctebf12zVr5zYvozZ2yc33Lcygv67T0vPH7pfpJ70bakCP7+vP3f8Kdq73z1Zz6Sb/cFvz8kZGHdwk2f8/Ezb5vtz6FnFmn7pT/57JfZZt8X/uhVf8cv7k6p+TKH2tlkr9EiBh99yubFSspjnRMndnw6fS3z3buRz8Prftt02MHUPPBEbv3Ne5Hb08Yuveq4/tQ6KGTS8ZFelDlfo67ovUQOnHVA/fVTDyA5l65sXyI9AMaX1sxq37XEcRMGkE8Co+GzwuduYumHS4418zF14B0LfzV4QnA9XKKDb8ZfzfO8C1cIb61t2IhMHd03Nid0Xd5lrzv6optL1FOdv1of/89x8zNOfvOYemf5No5ubHdNbqo29b5iLr2ksZ/mffcfXt++q9vy6XvstR9Um7MmuDzz3z9bZd6vO30qR0bUX6WfmUKf76lf5JrVY9xoP7hcn/nlnm1s2XyP/vfmdN/T4J6LXbWV9xxaunne9A3X/4yRZz9Rq+5db59/w437dHfP9nQa25cGP57/rbvcWsfJZ5u+AbvmZe/v37sXrT+1gVvtaw9iEaebt0y/ItDyPcS6vp43gFkE+sm2YfsQeVC8ePf1e1D14zZMqfyzI/oxJrQV68pe5E8/gb/07/uRPUfHuu/btBudPSz7eWDApuzBoBIyjOeYemHEXuP9QLniDduqfXHznQmp7S15Zi0SPJ5TRTDfc28pN6r3geKmPzVL++oSI3KS3kB3p9Cswj/qegYng9yM5CYqMYfbH2/eNj0DI9bOGbr3d5UAjuHvOJdWuP212z74JjQ+QfKTtBRtPHJ8nWttx1HfSauz8nEUpZtJa2VXAfLPqmqfdGV8zyJJtt63Go7JQPYe15ir+9M93M99CCIM63vE+vcy7PQXPu53QYrDfYctzv/A6vgdoHS1KSJOk9ndPUkfmnM4q3+C0Ch3bM=",
    },
    Case {
        name: "calibrated of scikit-learn 1.9",
        ask: Ask::Proba,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            0.15205223880597016,
            0.1865671641791045,
            0.6613805970149254,
            0.762582056892779,
            0.19146608315098468,
            0.045951859956236324,
            0.21270561542824729,
            0.7175269427112876,
            0.06976744186046512,
        ],
        file: "eNrNVklvHEUU7lk93pKJEycGjMQBpGEbbBwhRzIak0EKoaU5RMTKJRQ9PTV+TXqZ9GJsCaRw8CZKAeJCihE3LgjOHDglAqEIyQdA8gXlAAEuICF+AeFVLzM9i2M7Acmlma6uqvdevfV7fSX90dZhyR/sqHNJp4ptFlVF16q24mqWydnxcriitbKuOI5W16hdnuMb/Ml3+Tu8wPqp42qG4lo2Z6ORCNemtEhUwUAdFPIyVTUH5b2G+y0xMSGqrbnU9m9Mz2umxlnOaeiai5u4U8U7OOs3lEVSow0XuJxkRwzNJI5iNHTqEJ9W7Obju6hLncsJNiY236LaPLikbiuqsCw4PCOFgw0J4XWquJ6NGlfYIbEWNMS0av7OkK2YNcsgjovO4LLERoVYzWh4qPsSKqbaVHFoXKbvgPBmlNCvqg2i6A1QYkTDhmVarmVqKlEdQZUnoRfJArUd3yWZyeKp4iT3qixrUBesGrpHcwIuzpLqgjA9a5I3rarQNEdNhxpVnaLrFM+1ODuhNqMYRMX3v0P4RV4AtIT0inIzPJCBXPg2CEMwDIfgsJyEPP6PyAkYaRoDRytwrAKjsgTHW5snKjDWWj2EvjWbniboQi6n2IBJLM9teC7qhBHLhalDMHdMz2gsYTJZNi0anu5qim0rS5wNEZuqlum4tqe6qCvL+JSc9Zm1gGQDo7TMy4kqX+XneEFOyKllDhMsU3OXGlSwJLVpvr4WnKZYYoZXKpVX7+LwH7Lk8up6eSzSPRHOyXDmeCw0byoLz7Ksg65WhO9gppxLRZQreAWGOpZjvtkZUSho5Eh74Ygnxk5UizAiBc/B88IUOBkZksDFzHrsAlRFTohTESWMDuqFeYte80wsjD50jp/G3ZL6cHGKpeZeOBn3xNu8UmADOq27RAVNx4QbtP36CVd9oRlYlS6gNWDpflKG1cBFjH0FwlrEFAzKABOw82TE0DDjzHkybxHXIuJSNEfYQVCzthDBi90BkqUVDm/AJTmHs4JzHueq4KzvxjmGlCrY8mM415CzgDPF9QTOdSHBm4xJeL2HhOkV7smz6Ma8SJXTNxOtLEl3ZA2ORr3+Vyl4/a00JMVHYVbqyK6U1DWub27+UrLHb10ev/VDKdt2NDYb3XO3Y/wTzuHxzYgj08Z/rHn/XvkTbfx/lzrlZrv1n56a+qbkq3/59gPrn27jz+9b/2S7bk1+v6qzC4ru9a4XASOrHOz18mdffC7GT6VoPu+Pb8P1H821tIOreo/u80DO76G87X3LEyZ5VXgYHsEWMhj1Ast2BP6zfAQ+rZYycjZ8PUfnsbr9LtRs1pklgp0P+4x4URbxZUAz/eaHRczX2DAiObHqpIrYU8P6Tqu61kAAaRERpMpeEFIQM8tgl3NSG1CKM4TKtjO0IgDRC6SJOAJyuwKUXPaDk+/lBDa8tEfua4+fxd/XpTh34EB4L+yFVyvwfgU+WIMP4RpsrEEvU+B6Dxvgk/1pDZ/uTh+l3EHXs9uflPVFH4rd7Kmgz92zBcM4PIrmPvG/fKzAU4j8TyPjM/ep3Evo2M4vATiDQl8B+b46O5yXMzDXzZjBxcX107OJbkVi4/utrds3rv46jb87O7agvUJoJ4RLHa0r3a3HxNTUnzd2amH/VQt60BboB+5KDxe3sH8xoPy5A/u/LO2GyffuDTthemsdx3JYFd/vB6rOP94U47tSgJ93Diwedbbug6pn4M+vSlG6xXATfoTtAPsootO2j1T+SfFfwG4I7A==",
    },
    Case {
        name: "hard of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[5.0, 6.0, 6.0],
        file: "eNqtVl1oHFUU3s0m2fx3kybp2kYrJYQoshitmtLipInS2pFFSy1RlMvs7N29Y+evM3cSAy0oJWkDF8H2Cqai+OCD6JOC0jcDij7YQhTFVE21hFIlL3kSQbCeOzO72ckmpkk9zM7Z+3POPX/fmftq7ZtftsR8Ymn3hI4Vx8xg08VGTscZNGZRzSxyljru/xnRFdfVChp2+AV+32v8NO9nTdilmqFQy3H5SzCOK5x1lTRRB4MWVYhhl7PuJ7CquZplHoP5tZQ1qo5GsQM7OKstaqbGWYNr6xqFSZjJwVmcNRrKKyiPbUq4XMPaDc1ErmLYOnaRv1fMpipnwZYCl+MsLSbHsVYkFBUcRaVwTrB4KBYSaxHKC1ihngMWZ1mbGIs9yLTy/kyLo5h5y0AuVSjmcox1CbWaYXtg+wQYpjpYcXGlTj8A4cmgoVFVbaToNlEqNrUalmlRy9RUpLpiVwqFUURj2HH9kNQNZPZlBriXm+IsnuOkKQgbaSVtZBurDwzjpF2uIR3w2y7HSWf5BNKVJd1ZskOOkfTK5F1ZsnNltCtLesjdQj9m9aXk1xLFyXOWDOz3syzHD0l/BTKw0UQvWzkRmvaCrkCqTETBFLdgOQY/x5Jgfs6CgEyzhI4RZz2l6rAdbDuWiqEMzGIG6UoO65y1PC34k6YK8a4ojYawikBBt+kZ9gTUleXgjOHpVFMcR5kAUeRg1TJd6ngqBVFW5+8E2818sOUCJGySj0DwzvKjwg85McnJI6wuTydsLERqtEE+fS5YTbD4AZ7NZo/cAvJfcozy3PRIui6MWH3IkyHnsByEkAyQ/ax5BRxIxC2aMZK6o1SxNrNcqQhKkIO9TSayPGp7FM4DlQNkL3lMeEz2Vfp7EDwoKYqHvKbCA6GmHG7yEKt3VUVXRDLIwZGGRGnnFKiEuq0AjG9DnUA9pKkj2gXEG4pJQF+kIVFtWjwwbeUAMEWOi1URMggV2AVFAXn3TEB5EtLrY7JaUxIGj7PE8Uf3VubyFM9Cv9JxgSKVaDrUdLPjN4NwlAzdgBZDCXhDLDHbUII2FwH3DQgbC2c7AkzgPFq90mFoflmjooWohcSh4I7wwwbLIkVGhqtLTI5NcXKSnJIbgDvAU8BdIVnYSDINOyk5I98L3APJfuBjMH4Q+LjQ4A1UaLDW0DA4xT15CMKYEsU+PBtfqZLaWBXB1Nznry8OwrMopSNLg0OrqyuxquqA5i5fXpY++eL7G38mr0rbIvKZsvytVfRPyMPl2ZJEc0S+byi2Sfmof6my/Gq8V9j/3szMH1LP1yfh+UVqjMjv2bT9dRH5zk3aPy+tZ7+P6voxRffWxotoDGc5OTM98sFzPi1IH30o6CcpPEEa9+mm1O7Tt1K0Cpal2H9S9Xpwzg0p4D/cpr65cP53SbjklZpttK/uubNP4BHAhbz17kmOkmNVfZKMgtLnyYtb6nukICdJce02Z64N0JJBs8UrrW8vL0hbBWiq94VrLdnG2b/nRnfvXFqU2iLyD2waYPF1sryRfNr+6tPDzyxKrRH5+9cFaMmfvvNLN3/sqxm6dM/k0rOXrklNEfne2wbo6PstBxYu/loF8P/Lf79w3tgaMgP+m3S+9yl4vpN+/syA55t1EfXx9v3wXJfenZ9+Z376SplfnBF0VXrYp8Xy/lJzc/w/16WNEF6JTMzaTcWAD2TlTYh1lq4GHtV0N4NynqkSuK4N+9y/8/WTJDlMdpO3vNOc7RL3fbjbKeJTewJPiE/qOMjDB9YFkLjhYZl/AWo8EHU=",
    },
    Case {
        name: "stacking of scikit-learn 1.9",
        ask: Ask::Proba,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[1.0, 0.0, 1.0, 0.0, 0.1, 0.9],
        file: "eNrVV19oHEUYv7vkmuvlkl5i08a2/kG0pmrPRkqJoFzbaym69TBRBAUZ5/bm7luzO7vszqYGjLZq0xyOL+30oT5VxQdffPFJXyqCiKDgU/VJUBQEFQoVH1u/2d37k+SqLRSKA7lvZ+b7N9/3m2++HB88e3YkFQ25LZi3GfV5ifGAOTWblUggqDlv8aaS488knxWbBoHVsJivzqhdJ9SSmpJ5FgjLocL1A/UiztNUyYm2NuEz1GRqMRYoueUQM63AcvmzuN5P2UbTtwTzkUPJwabFLSVzgWdbAhdxpYa2lNzo0FdInXkClJGRY47FSUAdz2YBiXj1arF3FX1pKCMtJ/XiMWY1QZCGT02BduLNI6lkyIJW3mBUhD56XJWjeq55CHfr0UrBp7zuOjo+gikjJSe0WsvxQvR9ER0zfUYD1qszCkBiGTVsNE2PUNsD2sM04rjcFS63TGIGmqtIkiiSBeYHUUiy06VHS9MqrC0rma4peWc7zrbFkRIHXbRLxHabFibFxMwdTT7nWBPPE2npBHvIY5zaYlHJPEbTZyaep46KK+pI+VLiVc6eJj7FQPV4OlgPqa1ackC4NrJu2/fz7zsqu+VIwxLE4pgpE3OjVuRYZ0ICk9oaSkYabq/C1qrcELj2gs5p1q41mgiNnI6zzr0y6nIIt2puEEU3f4z6UbB9gTY3cPKyW8M0wA64Q8eByU0NC49BOjBUkI8PCCMwCpugCGNGBsbx7zY0v7lzDpiowhZ0xkjBZHcR3dvWnW1P7MiMuaBhVYguBXGYABdDNUhD4Sp4pAp70NNhD7MswHfDJuDxR4lNawwd4yamBY+6o50tjLXnu6bOB2+WYjYlC0c1PZxwd7KUS24PwevDQ8dbxPvk+qzkhLawqO9TzF+BYPZcHgg/NAWKymzEqeQQr8csZzCUJ1UFQXNKzakpI21kTio4LLN1segxLZKxZlRrJd4dkOnHVLVaffIqjujHSAlVa1WK7cikE6pwOQ4RHABDFtfkgtzcZMhR3rmbCDWijKzMc+KGwgsFRghVHoBDcESfFZ7oPensNXzX4p0Aw0HEJSKV6vDDbCWXaXMuoyq8oT2lIbKd1fUNEzO+ut7pXwSHLnI68Nn1LqVjl7oG0BUjrXd1qDBE6BfCADMdchFZiqvPek1ZnFTlwHP79vZm71VVxcpss4YgJlg2QnXYj8peMhtKjoHFFAHLAnD1aq5dxJQOdORAUkKV3BpXL1Yna3fGHSsCMmm6RLhEG8Xj6HO8jp6tghXMrQeVkVpWcBzeNnJITyAtIn1DSzb+S3ISOd+E08bdSN9CySmkJ3G+B+my1hBO92h4rY+GmWUVGvsxjEUN74P70110ZNZQHOfPnfvpQvz5Y3ky1Ttm9re/rq4ZVxKabH/e5iuskp/qyA8kdHANxfFSo/F3Yv+H8rXkr9d+ZpV86rrlC99/4D2e/6qcXyV+b0c+ulUbFqgd9servpCnFJxuVZ6OBX4pt48U00vl1Z59l8x/W7f/7jk9Pi1/+40ef5S16TApR3K425cQ3Zjc3FfheQTUCzdeboCCua6wQBOVAczj740XCgixviz0rwtL/RGdusWIzvwPEQ3nbx2U4Z4EuffBTri/05vBVBeRu1rwQKcTgwdX4KF2pwW7oQQPG3XdocB0S/cqGrs3+kwO8ag5I6o/RHWd3/vv1bpVGRxua8uaLmv01WUMLEcBnbz45xful1culz+bmPnwqdx75YvvfzLbPH65HD/a3c7yGg6hitw7Oz+eWTn964Vuj8LkGKcOvmG9tUFubr/eobDsoERqITcBe6iDEY0asSkYgo/gLvg6XFJyO+m2y2SeLepXD5tUjm9ggHkKanKkt02Mqo8cQYm6ZQqCnV+NKvgLG1fS6WZ0CxP9+6TdZ7GzpX8AA4qLNg==",
    },
    Case {
        name: "bagging of scikit-learn 1.9",
        ask: Ask::Proba,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            0.1477500233511307,
            0.21127134063180913,
            0.6409786360170601,
            0.44402798017543144,
            0.5267519149840043,
            0.02922010484056437,
            0.3195540763121178,
            0.5729273009004748,
            0.10751862278740744,
        ],
        file: "eNqtlGGIG0UUx7PJJbnLJefdWdtrPcRSKYnVtYdST6gsGPXktgR6UBW8c5zdnWTW7u6E3UnrgaJ+qE1kvvUpItgPVRDEfhApCIKhUEGvIPiliqjBqhy1ipVD8ZN1dpPbHG1OP+h82NnHvPef937v7b4w9Mq5TCJaYntw2CHY91TiBcQ1HKIiA9dqtlcDMfFA963s4CCwqzbx4QSUXoTnoChGSMBtF3Pmg7hlXcOxPbkjl1nEUZHDarZ0MkFMHui9LpCaT6QW8/pK2TrxsMOXQeQsUveJiTmxQChlmNOu9LIcdmaQj7nNYC7RW2LIamAHWiLFmSNdd+y7eHm6fKcoVG2ObI8T3yR1Dk0xERsoMLETVqYrIm+GRaGjxK5RDhWR97FnMRcFXF4v7UzAnCOyYJF2jGotADHs4meQLZVAt0RWHhksIKAnRO4o9qM4n8tsMh56mhmBVBhHPSxIOkcli/SMep86Aw1D5D0UAwxAT4rx2ER17GM3gJIYDa8MsFt3SCiYD80qwbwhGYYxIwZjPOA+rssyJ2Oj79MSI4wZsmzmE2jR7S26o0K36Ak6JfMe82JHyQuBnhI55MX36VNiOGIkj0Fs9RpufVlFoZLqNhxuY9/Hsmd5JDvGPHlxw+SyqSIdeYLIelbX5YSEdAzKigHHYQGKuqKnjgG9XaQtvlwnYUjSnoVWs3uaEsp+qFQq81flih56goPRKk+tN17p7cneDvJY5DwUJxsW0qcJdEQmuZGkrKyArmU51jvuT8Rov0EIlqBIh7sDS0dpnhbi2aRj8UjSG1p0PJ5EOtGkk7pCb5TI539+zX2W3kS30m26FdLv9eI2PUl30xK9I0RE1Y2A9v1byVkvGkdZ4HXxijTulljv6WOl9w6COjS6rpY2GakO0krpyZcitersP6s1y3v/7DxZ+mbtO23n4oXm5f0d7WrmxyOlT6+0zc6Z7Mdvfdl+hL9eKez6qv1ZqbjnknlJ67au/33CYBSLEsUfez858NdjHe3krdbam0OrWmv6B3Hw8bV2KEFvptMN4z/15/CDv2T/3/7Q+cF9OSipF9Z9Dm3Ge1HSPA3Hd11cudDevafwhvLER223s/LyKfytpix+cGahcl5befihR99/9XPtLN/53tf3d7oontoc4U9vf59Z/fULDU4tzy6dXNXmPvx9qXj+tw0IidiyYejjv0M0/dfJJrsQxpPXQIjkNvVODEBFRAYFhFgBbB73bu75fOh/1zvntsW3REmrfwOlHXGq",
    },
    Case {
        name: "others of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[1.0, 0.0, 1.0],
        file: "eNrtVU1sG0UUtuM4dn7rpCQxkANCFQpBWE1bIBSkjeICggUDEam4RMN6PfZsu97d7E+LUZDg0KRGc6EdDj004oQQqBcOwK2RKlEOAaUCSgutKqpG5YBQ4IAQQoQ3u2vHa6fErnpktN7nefO+N++9ed/sW+3vzfSF3EEHrMMqlkwtVXRUW5FVybIY3fmihg9a09iy01yh5BVsspPswbfZm2yUdoJeKUq2bjI6WIHbJsYp5OIxeBg6gGXFUnTtFdBv6UQ2FRubYMFoe0HRFEbjlqEqNihBk4U9GO0sSq+jHDZswsQ22l9UNGRJRUPFFnJtuTZRq4VY8kwM0yRXHsVKgdgob0qyDft4i8+E/EF7uPM8lmzHhIgztI/PuQ3S9Jyr6TElLacXkWVLNmZiiA5yt0rRcCD2EgQmm1iycK1PtwD+zuChU5YNJKkGkWqMeou6ptu6pshItrhVAvlVREewabkliY6nHk+NMydLOzR0SM/ycGKwmtUtN5KEKmWxirKKJpnKG9hEjI5UjsIwsWHqMoaaa4UUci0Z7Xuey6kKoOYkNFzwjcBxp6FblVmY9lqGZFoY6Y5tODY7TmMlZJcMDNt11TZMxU7RwAyxMo37nQCGQ5pTNErQG7qJvS6TTFMqMdqDTCzrmmWbjmxDPDTqWjIa03KeyUmI6BhLh7NskU2zUTEsRo4xkqLRHA+CQ9qUCVY+7q1GaPhJlslkntuA4b7EkM2y5XSyUvqwL9t8yWCZ3EPudbJkjOyj3dXGhrhn2SiJeyUi3aSH9JI+skNsIwn49YthMlA9ULIzQ+7KkEExRIY2lcMZktyc3Q39pVW7DeqEGMTbpfmVhf3A5Rh5mOzmGZM9lXzbYLK/nE7UZ8Aj5/BqmclDtMOSJVXiJ0v2p+PVHBfAFfRcTbO7e0c5Y+F4BoIM5m/gH6ctL3+kMaSwF1K8tohimK/yUkGJIC4gEJy3owFDo3CsLp8aPUVh8hiNHHx0X+0ZzrPMKO1Scd5GMlHUHKPdpktkfxbz04DrwSaQDdG5Nl6hJeOFdgPwLwVGhz0+4hyqXxkoKi5LUEFHto74ppAOz0OByALNRZ5obC0xtMDIIeKIcZCHQSZAqhyZ3w6ZBMsimRfvA6kBchSkDvPdIA3uwRmv8UC28DCxwBxxEsqY4E0+NRne7I72UMMA1epZc+T83Mj5a0IysDQxWc+LSF23wVhdWVkXPjn37dofscvCjgA+VcVv1I1/fOkvL1cQ3QH8A5OhFvHB/BIt4zsD+PureJdVHUck1dm6XzkhFxmZL6dfmnHHT4Inrwr97rggHHXHTSFY/XUhKOv13tZO5TK6k/cOSUP/HGj9diEieaHhHiEvg7NpMnNb9wJBYoy81giMwaRQnlr+7waGBrxy9ss53sG31cDvnzr1m7B+Ihb5+vOLQm8AP9ZyA3cF8LtabsBIAB+v4qO+7KjLx8v/hvD3u9/Mn1m6KtQTqNn4Ly5+8dfqq9eEWAA/cscI6DbOO1sc8SZzjI8/4uO64MkfhMvl05fKp38Wli7xP1/dgimbjHl6eNa+8NT3An8Pz94QTux6Fp7rwo+fFvnTwLD/mbUVs4JXe8g/wZWmmVUz/tzYiEyuRj/4PTPxmTAYWHqkZWYNBPB7mu5M98s2d0Vollm1Se7de07YDt9s/OFb3O/N4tuCsbXELM/yF3/PZWHpZgmeX4XkggTPhw3M8r5da/437Ls6ubYtE2uZhV02uH9T/wKz2YFs",
    },
    Case {
        name: "chain of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            5.500000000000003,
            37.645592121019575,
            -1.2500000000000009,
            12.351556856126894,
            -3.250000000000004,
            25.79771730685991,
        ],
        file: "eNqFkkFoE0EUhpOmm7Q2rWlLbSmtpBSlRRqsIlQb62oEwUiEXurBOuxuJp21yc4yM1uIILZCbAIjCH0ePOlZEQQVQYsKQvEiqHjxqAieRG960Tq7W0tBxDns292Z/3v//3YXm68fi0WCJbv5fBkbzMlUvLKwqSdcT4DsmMZzDHNOWY4YtgMrMLoEF2FEtmIu7IohKAPZ/0dath1VUYUWcTmDTINjkKlTwcsNjk23MNpLtkC2IzCzsCugLuMWdavojLqLCVqGE1P31r7fevjlqow76Dw1ORRki0u5LewFDA2ZQhuN0QJmAVpq45mDmXHwTKlRVsQMZmEkH81HsGyyFpQ8yQynSCuIC0Ng9ZxQSpNyn9bhoBI2hKdsKlMI8jEZDxgISLds28zLkQ8lLWEI0lYnyTpp3/RKOgpke4P0KrlmUVxCIHc4XsWtZpBFGQ7HazBmVEEmEcMWdbhgniXUXKQWnASZcIrhkRXIR2qQi5qwDNNBlFgNyJDUiqLqYl/SVJqARj3cjcloFgqFwsl1tYJLPiLAbOT6Ht98NTXwrke/8fnt4tNHEb3rzvDl9z09z0FtS00NZT4I3MptZ84rG37mNBn2e5NdWzuPKdbriVFYXd2j7x3u9c5ODukfupaefLqf1gPWts3vqRA7ZZxbhsIpo2Qs13Jbt2rG4QM6XFFIkiKdnvn/OTaTwb+9NIde0r/8kOtfj0TDv1jXgvLtmTtz6cLRTrHqeyL7FGP/vxnLd5d+7p49p798QbKFwRE9cfyH92YtrZ9+MNn/sW8gyEUOkayfIGxzLbslAQ5L5je1qEpf",
    },
    Case {
        name: "target of scikit-learn 1.9",
        ask: Ask::Predict,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[1.8866666666666663, 1.8866666666666663, -4.055555555555555],
        file: "eNqNVL1vHEUUv098tu/ss8H2kUgQJQgZhE5YQcZIAR9cpEhZaYvE0I7mZuduVtkvZmbtHCQSQYpzEVORoYEW0aWhonNS0EWCBokiKFQU0PAXkLyZ27usHQvlFfv2vXmfv3lvvqh888pMwZJaE1cCinnUJnGYxIK2kcR8QKVWJ3Y4jkQ/5iH1dqzuEh1wKkTM9R39xg19Xa+rWT7VqZVJKMkpxCEBFoIK0J+nxBd+HO2A/rgYhPuScjDQqiE+TTGnHqKcm5g1kQS+hFOtKj0qoKzZEF9FHk0k005RLYV+hAQOk4AKZG21U1LNvBZq6hvTllHuUX/AJOpzTCQkHB9eKGSk6iZ4n2KZQpHaVQtGNjYoij2rqQMoXhwiIbGkIK+YqH6YpNDDEOoinGJB8yEtDllicJglJEE4SBjOGTXCOIplHPkEEWGsmigDE+1SLiw01Y32e+0NnfbUvJzeDOBycgJ7wmnCYwLo+tGgjTwssVYLlyUUjLl3meCA5lHf8yVDIcWRHqmaFYT04L9C4mSoR+wEOwm5Kv00IqZvPzKVUJTJDcIouYIyLbg1EFTlR5AaeX5oAK/nykSavTpOzE6P2JkRe22kFqIp1BAHGZfF3GVSCjq1GqVhMoRpijlth2kgfcw5Hmr1goCGsGlIVa0NcE8OE2o0pf6Wvj26pS/pdaesiue067oXHwPZj1OQutetjbHf6uh9sFNVAwWU2VZ1xCmJIyF5SiREYxtqxkBo0t7RTuGm7hZ7ehy86BRvarZ5u1t79Ieh3w40xFaVXWxa/oB1jDn76KjxWnB/NXj/bMca207o/5nffVi98N1XS9Y8u5e56eKBYy2Ddp7VWYMtsEWnyJpOiS0BX55OGXvRZS+5bMVlq091ay5rPZVedtlbANhchOJUJqkU9lYa+a0ATVlVzYrD7SwfXnnzhUU1e26QKh/f0VlV8nPXw9599nKg52JWk+nZKRpb0yF0BtXBLsJApJG0tYxX89lcZZur/MnmO/lZuKbddTUX0L5EhPmBp9U8t29CJs1kjcJLIxn0y2KjrU1WXJuxtQVkg6rV2ni34dE6erIc+nYZ0SBGMkYmKbRj+th9HhScwr5me+xLpwb8KvAm8CHbdFrAPwN+CvjnoF8Hfg3kt4FfN5HTjVzk9JjIW/s6dToAUtOifW+CdinjExno1wcPHh6Mf//dbhXytNWZ/D0+Qv9lPDu+d/73R6MfX7+/PXvI//Tz+//yQ/enb//eXjzk3576jxdpFwfp8aNgRu+WXabWx5ZunHvz4vc/n2r9c/DX173u3Q//3DYh0my9xt/2E7oAtKg=",
    },
    Case {
        name: "samme_r of scikit-learn 1.5",
        ask: Ask::Decision,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            -47.06826420209869,
            24.164442853914224,
            22.903821348184465,
            24.339805770700423,
            22.677668802298626,
            -47.017474572999056,
            -11.436303813949518,
            23.551348410336153,
            -12.11504459638664,
        ],
        file: "eNqdVs1vG0UUt+OksdM0OKFpAoTSlAOOAPdDFBlBNRS3DepSIxJSoFCG9XrsWXU/nN3ZlkCBgpSUiFE5ZOCO1FME/QtARJRSkHoo0A9SJUIoRD1wIICEegDCm/U6thNDAiNln+bN+/i9934zzsnG97KxkL94r3vUIKpjJYnlEjNrkCQ+TvQCZThr2y7TrYLgHXty6mNylzZU19XzOnHEhOh7U7wmEjxGwMpUme2IDG+18NLWFUoDjy9tcVF1VNMVfXyDnxAiY0dlRPSjhQBLq6NaOdvELpN6JcRjqlGwHZ1RU/DmwT0HD+5LDgjeZuE8UZnnEBfrFhZKhLdU0gjeWS6JOQTK0SRo4gq+aS/RdFe3radBX7cUDXIRBywEbyzoli541C0aOgMlaLKQRPCYqb6Mc6TIqFDCvN0EBK5qFg0A49v6VVdrAUtemnZLZdDbvKNqDPKUDvtDoXIHZPBycdDPNrmXNtiyc1JDYxneKQPpZtEDtCMARXOI6pLqKH7JQS6IEtO0IlaNIlWrjDaYtmUz29I1rLnSKo6DvuFjxHH9JjTtSO5K7hRelq+vjBWLIyJB46We0VvpRtpJN9EuJUy7lQZ6G8jbl7LQOzK0B0Af+LDljVZ6Z0W/OUPvquy2ZGirnKKFbY8VPQY5oGHRYHJypJZnFkeSmu2QpOkZTFcdRx0RvBU7RLMtlzmexmCQvMk3BLZYuZLJBPBoVKTDWXFKDIiEElYio4Lex5tybKRIpEuDnhLjb5dOIzz8iMhkMgcWYfkfJcREdjzdXcYaDmRDIAUcS+BLWGkfX+dqqqFKYtFUOhopW45BCmh71YR97jZJmkKNHbW0lV8gneSqLCJC76VJWQrdXi4kDJvUeFUCgKKE5akcDAwEcAFrsGZ7FvMzlUi0MpJsyS4eOfTgA9WdOCEyCd5ikDzDGtWNnODrHZ+9wa45KAPuBKNQDbWlNlpmpn9RfQDBTRC8q0RJksPLTzpMHa4jPAkFGzMby6RQjqzjeUBWMyL60MoBKaExQV+gBSUK8gjIOMgXpWd+Nc9usMTUUraAfAk8EyBV2G8HmZURvB1VEQ7XiZAaE57yKLQx7lNlajlFqlZjKHTp03fmUqfnUnOozKk/ZKjFn1HZb3HZ+iuQwfHU2XOX539vnka31NjPodAa/VsuDPdcGJ5BsRpo3y35+5Red0w1vPpkkX+nBLXG048fHpJrFp2dlOs6KpU8hUaOy3UDdbTL9TVa3gffbWgeleQVJFN6WdpLt8L3Pz4t2yY/71rtaaH3gG+iPvFTq9xuupuiFfeYpiHoXtr/v+4lfQrcBuqjea4OgcKVxl26eHEBDVpv3Zz9qkKg0vnCmgmUOLn/0G9XZ1A8UJz55Nm7lV9n10ygL85vvTF0ehZFA8X9Hwxa19f9UEMgeuLfmTMzvPHyZx99i/70I3+P9vVce+aVM1+i6d7s5lTzPHry44fPvfvLlRXMSU/MTN88+iN6fXr/E22JazXMIbyj8n9A6amRD/IKHA2jPoag/AVUlj7x2yshiOP4v3f/HMGn/eQ36Kfpba+ef/+qHwF4tpPuhgn7mJJ/A+OXZcQ=",
    },
    Case {
        name: "forest of scikit-learn 1.0",
        ask: Ask::Proba,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[
            0.0,
            0.44642857142857145,
            0.5535714285714286,
            0.6785714285714286,
            0.3214285714285714,
            0.0,
            0.0,
            0.8214285714285714,
            0.17857142857142858,
        ],
        file: "eNqtVM1vG0UUt+P4M27ipPkwVUWrCor5cguiNIdKa9UIoq6w1IhWvaBhvR7nbbveNbuzbSOBKEhJY2luHYQqceCIEH9AD0hwQPTSQw8cEAIurbj0kjNClDe763i9TupQ8WTvm3nz3pv39Zsbk59vFxI+8bJ7xaSaY1Wp5dJO06RV0rYd6jLBF1c1q2V33va3dVNzXaNtUEfcEi9+Kj4WFT7d1FxK8NDoaMx2BF/oO2MORUe6tKEuenqL6oZr2NZ7KN/NU153DEYd1BB8cs2wDMFzbtc0GApR0vTjyXe066RFuwxEg892DIu4WqdrUpf4qkKd4KWoFENpCzXJy1J4jRprwEjb0XSG1wSH7yRC4kXpu0015mGy6H5a7qUOseyWLyk6fjWIyzRGcb8gvRqdroeRr2NYukOxGlGXfvrhxWiQ1/Uu0cwuaBGlEglLRq5Sx/XzT79WPVl9XXhNXrQGxXX99Ha2pKs5WscVFZiCGSjBLMzBQZiHRViAsqxV07aZyxytK7Z43rabxNWxj6LHMxa5bDcxI1hQEzyL1zZtjBvXhWua4+fnMNGDpQafkkUIq4n6U1CEGXUCSvifVZMwt5MGHOSTmsdsAfMNWByIy4NEp62d8hIsnFBTvGAR22Ndj7lEtikXjgvBObK8Tne9KiOudjyTGZrjaOuCF4lDddvCvDyd4fTwtK8oeNZqBSq3MJENUU82xU2xKipqUk1tCHiZp1tsvUulyYSxLHpbwWmKJ8+IRqNx7jGS/1ETTDR79XI/7mTIJ0Iu8FgGvhMr+pgZhgERkOdTg8YR8T62KRdMul/EAzC9ZyHhOVnDhXPfFj4pRku51IhUE55XU3AcLV+Al+BVmTGciOb7Bp9oR7KE5SfmGNC2Ei5qMkc4AxWecXXN1CRM4XQ9l+qXYBO98gNRwPj9S0vQY/Pmhh8B+UUIS+TL7qRGI07i5nQvcgHeryblqSwYFgoLjiAkuu1ZiPI0dt3H5KintJ976uKpN6Mt/kg0Krxg0jYjOhhmS/Apx38Mwl02TANRwwCzAVtKc31sCzm7fgB9KPClANS0RWInzA/ZkA0wxjRATWwKuAxMzSG/gryE3IQVtYy8g/wocgvlFeQ27k9uCk9dxixLsn1ny8nBdE7GpjSgv5WLFyQ9VGaG5Mu1vl4qMULo6v73f85/9+VnXzxQpoeOTtUex+ifkIcKP2z99Nf9S0d+VTJDdofH2l06cuhRXf9dyQ3ZvTLWLo7SgHL+BPPMVc30dh8TCZObAlZ69euBydFawI+HfD7G95Inaold6VhMLzeiJ0P0mvAMHMLvf30cTnzz49JTPw4r46H/7gje4Tw6XIULT4VfIGoWPhg1zOJmrXd2a5dJjk9ksHyglMZMcgQBX92+na3deXbj0fk7fyiFIbvqvicy/79M5LaSDleZ0fOf7917qBy++yH+fosh59i+7xtG8vw+7X5Rhu1KwQDc2KVVA8h8PTzildiI9+Xl2pMhEaedIYxReQ8IjfMTvAJ9iNGAVf8FPXNRCQ==",
    },
    Case {
        name: "isolation of scikit-learn 1.0",
        ask: Ask::Decision,
        rows: [0.5, 1.5, -2.0, -1.0, 0.25, 0.75, 3.0, -2.5, 1.25],
        expected: &[0.020970018740436136, 0.020970018740436136, 0.020970018740436136],
        file: "eNq9VmtsFFUU3kf3vW0XaOkCJoAaWBTW8q6AzlqgPCZsDAWhIBlnd2e5I7szyzyAAoZKQqHJNYpc0MRE6iOKxBgRAhqBNoaoP4yvYI2IUKIIpUJA5CEa8czsbPdVqfWHN9m5c84959zzffecu9NUsnOY16QPPEReleBYSQhygswlIwkuyPBxUeJkheDyebKYYBVeFOrSmh1kzNPkKRLAZRFW5hhQ8UlWESWCKzNhFImDENEEK8ucTPDA2esUiV0EyoXcSoghg3FPFFdU4hVOgvgEl8qrVVbiYgwnSVpAp5xK8AqsEmyXWCEmJgl2Jdl1TIxLKYjQVjwgyQuMzCZTCU5mdGtCW7AvVwspxQltxn5NuZbjVyKFiUtsVIOUXpxjMgb2asHjHKuokKbmVKYpNCNGEGOgCmNvOhFGVliFI7QJV2px+WRKBRyNkFlU4oCX3KA6EcbWEMEVjaYYNpFCbI6RjzHIY9ZwkqyzYRsfrA5OIGoEe4UszbIOsEdkUqzEJmUyBnu0VA3QhHaiQWDnioiiIgP5KdKCB/YIWYgt2CWKEUaOwtmC4F7LSjo0SQHJLjBPihEAjSoBpwMSi4iyjrk0KgoKC8D1wiC4hFUVkeAyoScyA6RoB+TNyQoUTuxmhGyWflyeX0QMQS7sZfKh4FIm/1ws2JPlgyErSAA50+WEPMiLSlEZKqetyEdb0ADajAb20AykmFEF4Jn/y4vJjWhwdqEqjPxZaRRs4RYYUVVSqqLlbcaluSnoGptW5gyUd37Za09gRCt3qHIIVCmoyVRjUKM4mFQTCs9KEttIAKbEAY9wImpUayts0w0JdgixtAm4m7aQmeYI2UoWkgBtps1bCHoQ22JKY0qLji18DWnZll61YvMMEg6H59+GoT9ok0IiLTOdZgMXAZE2a9YaVUARgISyZqKiKkDjuCADvcpRDZqu7YweyuzrAqEWWx+bPCV3u40kHMDuBBdXmCjiEzGCPZLeX4bkMPiCrlUQ0IZETevMNIteMHoCmbPGVekugSugYEXRU14CSeRBRnXFgGlTM0FLUYR2wtwAsw/mZZpnvC9PP1guRzw9AubHwTMA8wqQq5uJStcADz6N0NqbQGiGU4sxZ+TNm1ffqqr3tLdfqessObCbcppyx4jQ7YLxlzEbBu2mgnjpcZmyGm/2gvXX1SH77Hd3U9UTBwcOf/4K5cjzuytUYrzZTPmjqbxj3tZTb1LvHxesexpfpUryVn195hni66d9nGiiLPlh+8Y3dfkO9zKpyC+Tt7MgT+bS6IsdrCnUWXMwcPqDl3p4MKz73G+EafqG5u7t/c9TH60zCs9B6yFsX8Mm1N4bRWvSrQTxLTPnLv2q7ujt1nPUryMn/XHg+S5q5YV7T5xtOEcdnTryzLirZ6notutrJic6Kf85mh61vpu6Nm7ThuqaLmrR/fsrhvM/U1MmVs2r77ikb6lG0BA0FJ79vehWzbrouONFh6rBdDz8JqDJIBUh0q6c2Xe6RNAC2oPCxY4eEBa31CJLtlhLCg63oy11pEy83nbe/OknlrkHi5olc2jWAr/j0xuabfd5202tz0q7hjb8x8MtbrJ/5/fu4UI/W0HxZtbH7oy8tvuH023S1aabN47tp+x5fv5QRnYU4NveqXbVP1MRaj20eOICAf/P+FqL8LmMN3dB3D1VS26s/eYkdeq732ZwC97r9yXyET3ruT+/3Nfvpk5PT/TanEjqpRSzXbnUfWvvTw+PP0PteXTFh427LlCjb64/dM+33VTgLarti8VdlImbNM08/CRVwZa+8OOks9SEsYcW+m+dp67tjH7/jniGEqY8Enr59+NU/WdXBr0x7AR1+esjFcPCB/O6lMMVOR8o2a8G7UulKDlLusF8hf8kOph/tDYV/P9o1hy2MzLHxXq7mDJ+b7s36Z/9D+w9VpXxww4xHpc5hSFz2jqNm0HHEfwb/aVKLg==",
    },
];
